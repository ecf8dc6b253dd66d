package cni

import (
	"encoding/json"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/containernetworking/cni/pkg/types"
)

// tableRows returns the cells of the table of docs/cni.md whose head begins with
// these columns.
func tableRows(t *testing.T, columns ...string) (rows [][]string) {
	t.Helper()
	text, err := os.ReadFile("../docs/cni.md")
	if err != nil {
		t.Fatal(err)
	}
	_, table, found := strings.Cut(string(text), "\n| "+strings.Join(columns, " | ")+" |")
	if !found {
		t.Fatalf("docs/cni.md has no table of %q", columns)
	}
	for line := range strings.Lines(table) {
		cells := strings.Split(strings.TrimSpace(line), "|")
		if len(cells) > 2 && !strings.HasPrefix(line, "|---") {
			for i := range cells {
				cells[i] = strings.TrimSpace(cells[i])
			}
			rows = append(rows, cells[1:len(cells)-1])
		} else if strings.TrimSpace(line) == "" && len(rows) > 0 {
			return rows
		}
	}
	return rows
}

// TestDocumentHasEveryKey, with its type and its default.
func TestDocumentHasEveryKey(t *testing.T) {
	conf, err := ParseConfig([]byte(`{}`))
	if err != nil {
		t.Fatal(err)
	}
	elsewhere := []string{"-", "metadata", "args", "runtimeConfig"} // in sentences and tables of their own
	var want [][]string
	for _, part := range []reflect.Value{reflect.ValueOf(conf.Places), reflect.ValueOf(conf)} {
		for i := range part.NumField() {
			key, of := part.Type().Field(i).Tag.Get("json"), part.Field(i)
			if key != "" && !slices.Contains(elsewhere, key) {
				kind, initially := inWords(t, of)
				want = append(want, []string{"`" + key + "`", kind, initially})
			}
		}
	}
	var have [][]string
	for _, row := range tableRows(t, "key", "type", "default", "meaning") {
		have = append(have, row[:3])
		if row[3] == "" {
			t.Errorf("%s has no meaning", row[0])
		}
	}
	byKey := func(a, b []string) int { return slices.Compare(a, b) }
	slices.SortFunc(want, byKey)
	slices.SortFunc(have, byKey)
	if !reflect.DeepEqual(have, want) {
		t.Errorf("docs/cni.md has\n%q\nand the code\n%q", have, want)
	}
}

// inWords says what type a key has, and its default.
func inWords(t *testing.T, of reflect.Value) (kind, initially string) {
	t.Helper()
	kind = map[reflect.Kind]string{reflect.String: "text", reflect.Int: "number", reflect.Int64: "number", reflect.Slice: "list"}[of.Kind()]
	if kind == "" {
		t.Fatalf("there is no word for a %s", of.Type())
	}
	text, err := json.Marshal(of.Interface())
	if err != nil {
		t.Fatal(err)
	}
	switch value := strings.Trim(strings.ReplaceAll(string(text), `","`, `", "`), `"`); {
	case kind == "text" && value == "", value == "null":
		return kind, "none"
	default:
		return kind, "`" + value + "`"
	}
}

// TestDocumentHasEveryCapability, in all its spellings.
func TestDocumentHasEveryCapability(t *testing.T) {
	var want, have []string
	for _, keys := range [][]string{portMappingsKeys, netOutRulesKeys, bandwidthKeys, ipsKeys, macKeys, annotationsKeys, aliasesKeys} {
		want = append(want, strings.Join(keys, " "))
	}
	for _, row := range tableRows(t, "capability", "also spelled", "what") {
		have = append(have, strings.TrimSpace(strings.NewReplacer("`", "", ",", "").Replace(row[0]+" "+row[1])))
	}
	slices.Sort(want)
	slices.Sort(have)
	if !slices.Equal(have, want) {
		t.Errorf("docs/cni.md has %q, and the code %q", have, want)
	}
}

// TestDocumentHasEverySource of an identity, each with an example that is one.
func TestDocumentHasEverySource(t *testing.T) {
	var have []string
	source := regexp.MustCompile("`([^`:]+)`")
	for _, row := range tableRows(t, "source", "says", "for example") {
		place, _, _ := strings.Cut(strings.Trim(row[0], "`"), ".")
		have = append(have, place)
		if example := source.FindStringSubmatch(row[2]); example == nil || !strings.HasPrefix(example[1], place+".") || checkIdentity(example[1:2]) != nil {
			t.Errorf("the example of %s is %s", place, row[2])
		}
	}
	if !slices.Equal(have, identityPlaces) {
		t.Errorf("docs/cni.md has %q, and the code %q", have, identityPlaces)
	}
}

// specified are the codes of the specification that the plugin uses.
var specified = map[string]uint{
	"ErrIncompatibleCNIVersion": types.ErrIncompatibleCNIVersion, "ErrInvalidEnvironmentVariables": types.ErrInvalidEnvironmentVariables,
	"ErrIOFailure": types.ErrIOFailure, "ErrDecodingFailure": types.ErrDecodingFailure, "ErrInvalidNetworkConfig": types.ErrInvalidNetworkConfig,
	"ErrInvalidNetNS": types.ErrInvalidNetNS, "ErrTryAgainLater": types.ErrTryAgainLater,
	"ErrPluginNotAvailable": types.ErrPluginNotAvailable, "ErrLimitedConnectivity": types.ErrLimitedConnectivity,
}

// sources are the files of the plugin, without tests.
func sources(t *testing.T) map[string]*ast.File {
	t.Helper()
	paths, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	files := map[string]*ast.File{}
	for _, path := range paths {
		if strings.HasSuffix(path, "_test.go") {
			continue
		}
		if files[path], err = parser.ParseFile(token.NewFileSet(), path, nil, 0); err != nil {
			t.Fatal(err)
		}
	}
	return files
}

// TestDocumentHasEveryError that the code can give, and no other, with what to do.
func TestDocumentHasEveryError(t *testing.T) {
	want := map[string]bool{}
	for path, file := range sources(t) {
		ast.Inspect(file, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.SelectorExpr:
				if x, isName := n.X.(*ast.Ident); isName && x.Name == "types" && strings.HasPrefix(n.Sel.Name, "Err") && n.Sel.Name != "Error" {
					code, known := specified[n.Sel.Name]
					if !known {
						t.Errorf("%s: types.%s is not in specified", path, n.Sel.Name)
					}
					want[fmt.Sprint(code)] = true
				}
			case *ast.ValueSpec:
				if name := n.Names[0].Name; strings.HasPrefix(name, "Code") && len(n.Values) == 1 {
					want[n.Values[0].(*ast.BasicLit).Value] = true
				}
			}
			return true
		})
	}
	have := map[string]bool{}
	for _, row := range tableRows(t, "code", "when", "what to do") {
		have[row[0]] = true
		if row[1] == "" || row[2] == "" {
			t.Errorf("code %s: %q", row[0], row)
		}
	}
	if !reflect.DeepEqual(have, want) {
		t.Errorf("docs/cni.md has codes %v, and the code %v", have, want)
	}
}

// TestEveryErrorSaysWhatToDo in its details.
func TestEveryErrorSaysWhatToDo(t *testing.T) {
	found := 0
	for path, file := range sources(t) {
		ast.Inspect(file, func(n ast.Node) bool {
			call, isCall := n.(*ast.CallExpr)
			if !isCall {
				return true
			}
			if name, isName := call.Fun.(*ast.Ident); !isName || name.Name != "failure" && name.Name != "coded" {
				return true
			}
			found++
			if todo, isText := call.Args[2].(*ast.BasicLit); isText && todo.Value == `""` {
				t.Errorf("%s: an error without details", path)
			}
			return true
		})
	}
	if found < 20 {
		t.Errorf("only %d errors are made", found)
	}
}
