package server

import (
	"regexp"
	"strings"
)

// userinfo is what stands between :// and the last @. It finds a password in a
// URL that does not parse, too, such as one with a slash in it.
var userinfo = regexp.MustCompile(`://[^/].*@`)

// redactURL hides the password of a URL, also of one with a mistake in it.
func redactURL(text string) string {
	return userinfo.ReplaceAllStringFunc(text, func(found string) string {
		user, _, _ := strings.Cut(found[len("://"):len(found)-1], ":")
		return "://" + user + ":***@"
	})
}
