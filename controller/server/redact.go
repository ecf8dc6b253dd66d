package server

import "strings"

// redactURL hides the password of a URL or a data source name, also of one with
// a mistake in it: everything before the last @ but scheme and user. Without an
// @ what follows a colon may be the password, but for web addresses.
func redactURL(text string) string {
	at := strings.LastIndex(text, "@")
	isWeb := strings.HasPrefix(text, "http://") || strings.HasPrefix(text, "https://")
	if strings.HasPrefix(text, "sqlite:///") || at < 0 && isWeb {
		return text
	}
	before, after := text, ""
	if at >= 0 {
		before, after = text[:at], text[at:]
	}
	scheme, rest, isURL := strings.Cut(before, "://")
	if !isURL {
		rest = before
	}
	user, _, hasPassword := strings.Cut(rest, ":")
	switch {
	case at < 0 && !hasPassword:
		return text
	case !isURL:
		return "***" + after
	}
	return scheme + "://" + user + ":***" + after
}
