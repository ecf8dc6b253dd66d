package server

import "strings"

// redactURL hides the password of a URL or a data source name, also of one with
// a mistake in it: everything before the last @ but scheme and user.
func redactURL(text string) string {
	at := strings.LastIndex(text, "@")
	if at < 0 || strings.HasPrefix(text, "sqlite:///") {
		return text
	}
	scheme, rest, isURL := strings.Cut(text[:at], "://")
	if !isURL {
		return "***" + text[at:]
	}
	user, _, _ := strings.Cut(rest, ":")
	return scheme + "://" + user + ":***" + text[at:]
}
