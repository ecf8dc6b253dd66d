package openflow

import (
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/tools/txtar"

	"github.com/weft-sdn/weft/flows"
)

// tables returns those that the encoder is held against, by name: those of the
// scenarios, of random cells, and random flows of everything that it knows.
func tables(t testing.TB) map[string]flows.Table {
	all := scenarios(t)
	for seed := range uint64(15) {
		all[fmt.Sprint("random cell ", seed)] = flows.Compile(randomCell(seed))
	}
	w := writer{rand.New(rand.NewPCG(1, 1))}
	vocabulary := make(flows.Table, 8000)
	for i := range vocabulary {
		vocabulary[i] = w.flow(i + 1)
	}
	all["vocabulary"] = vocabulary
	return all
}

// scenarios returns the tables of flows/testdata, by name.
func scenarios(t testing.TB) map[string]flows.Table {
	t.Helper()
	files, err := filepath.Glob("../../flows/testdata/*.txtar")
	if err != nil || len(files) < 10 {
		t.Fatalf("found %d scenarios: %v", len(files), err)
	}
	all := map[string]flows.Table{}
	for _, file := range files {
		archive, err := txtar.ParseFile(file)
		if err != nil || len(archive.Files) != 3 || archive.Files[1].Name != "flows" {
			t.Fatalf("%s: want cell.json, flows and packets: %v", file, err)
		}
		table, err := flows.ParseTable(string(archive.Files[1].Data))
		if err != nil || len(table) == 0 {
			t.Fatalf("%s: %d flows, %v", file, len(table), err)
		}
		all[strings.TrimSuffix(filepath.Base(file), ".txtar")] = table
	}
	return all
}

// plain is a table of n flows that differ.
func plain(n int) flows.Table {
	table := make(flows.Table, n)
	for i := range table {
		table[i] = flows.Flow{Table: flows.TablePolicy, Priority: 100, Cookie: flows.PolicyCookie(flows.PolicyID(i + 1)),
			Match: "ct_state=-rel-inv+trk,ct_nw_proto=6,ct_tp_dst=8080,ip,reg0=" + hex(i+1) + ",reg1=0x66", Actions: "goto_table:output"}
	}
	return table
}
