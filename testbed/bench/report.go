package bench

import (
	"fmt"
	"os"
	"runtime"
	"strings"
)

// RewritePart replaces what is between the lines begin and end of a file, and
// leaves the rest of it alone. A file without both lines is refused.
func RewritePart(path, begin, end, text string) error {
	old, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("report: %w", err)
	}
	before, rest, ok := strings.Cut(string(old), begin)
	_, after, ok2 := strings.Cut(rest, end)
	if !ok || !ok2 {
		return fmt.Errorf("report %s: has no part between %q and %q", path, begin, end)
	}
	if err := os.WriteFile(path, []byte(before+begin+"\n\n"+text+"\n"+end+after), 0o644); err != nil {
		return fmt.Errorf("report: %w", err)
	}
	return nil
}

// Machine says what the figures of a report were measured with.
func Machine() string {
	return fmt.Sprintf("%d CPUs with %s", runtime.NumCPU(), runtime.Version())
}
