package archtest

import (
	"bytes"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

const maxLines = 500 // a file is one concept; look hard at 400

// sources calls see with each Go file that the project keeps.
func sources(t *testing.T, see func(path string, text []byte)) {
	t.Helper()
	for _, p := range packages(t) {
		files, err := filepath.Glob(filepath.Join(p.Dir, "*.go"))
		if err != nil {
			t.Fatal(err)
		}
		for _, path := range files {
			text, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			see(path, text)
		}
	}
}

// TestFilesStaySmall: no file has outgrown its concept.
func TestFilesStaySmall(t *testing.T) {
	sources(t, func(path string, text []byte) {
		if n := bytes.Count(text, []byte("\n")); n > maxLines {
			t.Errorf("%s: %d lines, more than %d: which two concepts does it hold?", path, n, maxLines)
		}
	})
}

// TestOnePackageComment: each package is introduced exactly once, by name.
func TestOnePackageComment(t *testing.T) {
	for _, p := range packages(t) {
		introduced := 0
		for _, name := range append(p.GoFiles, p.IgnoredGoFiles...) {
			file, err := parser.ParseFile(token.NewFileSet(), filepath.Join(p.Dir, name), nil, parser.PackageClauseOnly|parser.ParseComments)
			if err != nil {
				t.Fatal(err)
			}
			doc := file.Doc.Text()
			if strings.HasPrefix(doc, "Package ") || strings.HasPrefix(doc, "Command ") {
				introduced++
			}
		}
		if len(p.GoFiles) > 0 && introduced != 1 {
			t.Errorf("%s has %d package comments, want one", p.ImportPath, introduced)
		}
	}
}

// TestNothingIsSkipped: a test that is skipped where something is missing
// proves nothing there, so none may.
func TestNothingIsSkipped(t *testing.T) {
	skip := regexp.MustCompile(`\b[tb]\.Skip(f|Now)?\(`)
	sources(t, func(path string, text []byte) {
		if at := skip.FindIndex(text); at != nil {
			t.Errorf("%s:%d skips", path, 1+bytes.Count(text[:at[0]], []byte("\n")))
		}
	})
}
