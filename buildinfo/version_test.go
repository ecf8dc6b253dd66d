package buildinfo

import (
	"regexp"
	"testing"
)

// TestVersion: there is always something to put into a report.
func TestVersion(t *testing.T) {
	if got := Version(); !regexp.MustCompile(`^\S+ \(go\d\S* \w+/\w+\)$`).MatchString(got) {
		t.Errorf("version %q", got)
	}
}
