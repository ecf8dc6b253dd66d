package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/tools/txtar"
)

const document = "../../../docs/pipeline.md"

// TestPipelineDocIsFresh: the generated parts of the document are those of
// this code. `make golden` brings them up to date.
func TestPipelineDocIsFresh(t *testing.T) {
	text, err := os.ReadFile(document)
	if err != nil {
		t.Fatal(err)
	}
	fresh, err := regenerate(string(text))
	if err != nil {
		t.Fatal(err)
	}
	if fresh != string(text) {
		t.Error("docs/pipeline.md is stale: run make golden")
	}
}

func TestDocWithoutASectionIsRefused(t *testing.T) {
	text, err := os.ReadFile(document)
	if err != nil {
		t.Fatal(err)
	}
	for want, spoilt := range map[string]string{
		"no marker for part":   strings.Replace(string(text), beginMarker+"table judge -->", "", 1),
		"no such part":         strings.Replace(string(text), beginMarker+"table judge -->", beginMarker+"table jury -->", 1),
		"does not end in <!--": strings.ReplaceAll(string(text), endMarker, ""),
	} {
		if _, err := regenerate(spoilt); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("want a fault %q, got: %v", want, err)
		}
	}
}

// TestDumpPrintsTheScenarioTable: what flowdump prints for a scenario's state
// is the scenario's table, which a real switch has printed.
func TestDumpPrintsTheScenarioTable(t *testing.T) {
	archive, err := txtar.ParseFile("../../testdata/same-cell.txtar")
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "cell.json")
	if err := os.WriteFile(path, archive.Files[0].Data, 0o600); err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	if err := run([]string{path}, &out); err != nil || out.String() != string(archive.Files[1].Data) {
		t.Errorf("%v:\n%s", err, out.String())
	}
}

func TestExplainLeadsToTheFile(t *testing.T) {
	for cookie, want := range map[string]string{
		"0x1000000000000032": "flows/policy.go",
		"0x200000000aff0103": "the container at 10.255.1.3",
		"0x30000000ac1f0002": "VTEP 172.31.0.2",
		"0x4000000000000007": "policy 7\nfile  flows/policy.go",
		"0x52fc16a97f3a6caa": "several policies",
	} {
		var out strings.Builder
		if err := run([]string{"-cookie", cookie}, &out); err != nil || !strings.Contains(out.String(), want) {
			t.Errorf("%s: %v\n%s", cookie, err, out.String())
		}
	}
}

func TestBadInputIsRefused(t *testing.T) {
	bad := filepath.Join(t.TempDir(), "bad.json")
	if err := os.WriteFile(bad, []byte(`{"VNI": 1, "Colour": "red"}`), 0o600); err != nil {
		t.Fatal(err)
	}
	empty := filepath.Join(t.TempDir(), "empty.json")
	if err := os.WriteFile(empty, []byte(`{}`), 0o600); err != nil {
		t.Fatal(err)
	}
	for want, args := range map[string][]string{
		"no such file":  {"absent.json"},
		"Colour":        {bad},
		"vni 0":         {empty},
		"cookie \"x\"":  {"-cookie", "x"},
		"kind 0":        {"-cookie", "0x7"},
		"no table 12":   {"-cookie", "0x100000000000000c"},
		"want one of":   {},
		"not defined":   {"-nonsense"},
		"want one of: ": {"-cookie", "0x7", "absent.json"},
	} {
		var out strings.Builder
		if err := run(args, &out); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v: want an error with %q, got: %v", args, want, err)
		}
	}
}
