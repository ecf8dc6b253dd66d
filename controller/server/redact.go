package server

import "strings"

// redactURL hides the password of a URL or a data source name, also of one with
// a mistake in it: everything before the last @ but scheme and user.
func redactURL(text string) string {
	at := strings.LastIndex(text, "@")
	switch {
	case strings.HasPrefix(text, "sqlite:///"):
		return text
	case at < 0 && strings.HasPrefix(text, "mysql:"): // the password may be where the host should
		at = len(text)
	case at < 0:
		return text
	}
	scheme, rest, isURL := strings.Cut(text[:at], "://")
	if !isURL {
		return "***" + text[at:]
	}
	user, _, _ := strings.Cut(rest, ":")
	return scheme + "://" + user + ":***" + text[at:]
}
