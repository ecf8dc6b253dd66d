package archtest

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/weft-sdn/weft"

// allowed lists, for each component, the components that its packages may
// import. Lines go down only: see docs/architecture.md for the drawing. A
// component's own packages may import each other.
var allowed = map[string][]string{
	"buildinfo":  {},
	"flows":      {},
	"ovsdb":      {},
	"settings":   {},
	"api":        {"buildinfo", "flows"},
	"debug":      {},
	"controller": {"api", "buildinfo", "debug", "flows", "settings"},
	"cellagent":  {"api", "buildinfo", "debug", "flows", "ovsdb", "settings"},
	"cni":        {"buildinfo", "flows", "ovsdb"}, // flows: the vocabulary only
	"testbed":    {"api", "buildinfo", "cellagent", "cni", "controller", "flows", "ovsdb", "settings"},
}

// banned lists what a package itself, not those below it, must never import, and
// why.
var banned = map[string]map[string]string{
	"flows": {
		"os": "pure", "os/exec": "pure", "net": "pure", "net/http": "pure", "time": "pure", "context": "pure",
	},
	"controller": {
		"os": "the loop reads no file", "os/exec": "the loop starts no process", "net": "the loop opens no connection",
	},
	"cni": {
		module + "/ovsdb/mirror": "a plugin starts for each container: see ovsdb.Conn",
		"net/http":               "a plugin starts for each container",
	},
	"testbed/dummyovs": {
		module + "/flows": "flows' own tests use it",
	},
}

type pkg struct {
	ImportPath, Dir, Name        string
	Imports                      []string
	TestImports, XTestImports    []string
	GoFiles, TestGoFiles         []string
	IgnoredGoFiles, XTestGoFiles []string
}

// packages lists the module's packages as the go command sees them.
func packages(t *testing.T) []pkg {
	t.Helper()
	out, err := exec.Command("go", "list", "-json", module+"/...").Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	var all []pkg
	for dec := json.NewDecoder(bytes.NewReader(out)); ; {
		var p pkg
		err := dec.Decode(&p)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatalf("go list's output: %v", err)
		}
		all = append(all, p)
	}
	if len(all) < len(allowed) {
		t.Fatalf("go list found %d packages, fewer than there are components", len(all))
	}
	return all
}

// component is the first folder of a package of ours, "" for foreign ones.
func component(importPath string) string {
	path, ours := strings.CutPrefix(importPath, module+"/")
	if !ours {
		return ""
	}
	first, _, _ := strings.Cut(path, "/")
	return first
}

// TestImportsPointDown: no component imports one that it is not allowed to.
// Tests are held to the same list, but may use the testbed; those that stand
// outside their package, and a command's, may use a real controller.
func TestImportsPointDown(t *testing.T) {
	for _, p := range packages(t) {
		from := component(p.ImportPath)
		may, known := allowed[from]
		if !known {
			t.Errorf("%s: component %q is not in the list of allowed imports", p.ImportPath, from)
			continue
		}
		check := func(imports []string, extra ...string) {
			for _, imported := range imports {
				to := component(imported)
				if to != "" && to != from && !slices.Contains(may, to) && !slices.Contains(extra, to) {
					t.Errorf("%s imports %s: %s may import only %v", p.ImportPath, imported, from, may)
				}
			}
		}
		check(p.Imports)
		outside := []string{"testbed", "controller", "api"}
		if p.Name == "main" {
			check(p.TestImports, outside...)
		} else {
			check(p.TestImports, "testbed")
		}
		check(p.XTestImports, outside...)
	}
}

// TestPurePackagesStayPure: the compiler and the controller's state machine
// import nothing that does I/O.
func TestPurePackagesStayPure(t *testing.T) {
	for _, p := range packages(t) {
		for imported, why := range banned[strings.TrimPrefix(p.ImportPath, module+"/")] {
			if slices.Contains(p.Imports, imported) {
				t.Errorf("%s imports %q: %s", p.ImportPath, imported, why)
			}
		}
	}
}
