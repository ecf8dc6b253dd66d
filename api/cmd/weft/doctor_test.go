package main

import (
	"strings"
	"testing"
	"time"

	"github.com/weft-sdn/weft/api"
)

// TestCheckupForPeople: each remedy stands below its finding, and nothing that
// comes from a host can speak to the terminal.
func TestCheckupForPeople(t *testing.T) {
	var out strings.Builder
	err := printCheckup(&out, api.Checkup{Cell: "cell-1", At: time.Now(), Findings: []api.Finding{
		{Check: "datapath", Level: api.LevelOK, Text: "bridge br-weft is on the kernel's datapath"},
		{Check: "tunnel-port", Level: api.LevelError, Text: "UDP 4789 belongs to the kernel's VXLAN interface x\x1b[2J", Remedy: "ip link del x\x1b[2J"},
	}})
	want := `CHECK        LEVEL  FINDING
datapath     ok     bridge br-weft is on the kernel's datapath
tunnel-port  error  "UDP 4789 belongs to the kernel's VXLAN interface x\x1b[2J"
                    -> "ip link del x\x1b[2J"
`
	if err != nil || out.String() != want {
		t.Errorf("%v\n%s, want\n%s", err, out.String(), want)
	}
}
