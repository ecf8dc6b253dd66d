package server

import (
	"strings"
	"testing"
)

// TestRedactURL: a password stays hidden in what is no data source name, too.
func TestRedactURL(t *testing.T) {
	for text, want := range map[string]string{
		"mysql://weft:secret@db:3306/weft":    "mysql://weft:***@db:3306/weft",
		"mysql://weft:se@cret@db/weft":        "mysql://weft:***@db/weft",
		"mysql://weft:secret/weft":            "mysql://weft:***", // without the host
		"mysql:weft:secret":                   "***",
		"postgres://weft:secret/weft":         "postgres://weft:***",
		"weft.db":                             "weft.db",
		"ftp://uaa.example":                   "ftp://uaa.example",
		"http://uaa.example:8080":             "http://uaa.example:8080",
		"weft:secret@tcp(db:3306)/weft":       "***@tcp(db:3306)/weft",
		"sqlite:///var/lib/weft@home/weft.db": "sqlite:///var/lib/weft@home/weft.db",
		"https://uaa.example/uaa":             "https://uaa.example/uaa",
	} {
		got := redactURL(text)
		if got != want || strings.Contains(got, "secret") {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}
