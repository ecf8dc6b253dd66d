package flows

import (
	"fmt"
	"slices"
	"strconv"
)

// TableID numbers a stage of the pipeline. Gaps leave room to insert a stage
// without renumbering; goto_table can only move to a higher number. The
// numbers are a compatibility surface: two releases talk during an upgrade.
type TableID uint8

// The stages, each with the question it answers.
const (
	TableClassify    TableID = 0  // Which port did it enter by, and so whose packet is it?
	TablePortsec     TableID = 10 // Does the container use the MAC and IP we gave it?
	TableARP         TableID = 15 // Who has the gateway? We answer; nothing floods.
	TableConntrack   TableID = 20 // What does the connection tracker know of it?
	TableState       TableID = 25 // Original direction, reply or invalid: who judges it?
	TableDestination TableID = 30 // Which local port or remote VTEP should it leave by?
	TableJudge       TableID = 35 // Who judges it, and between whom?
	TableEgress      TableID = 40 // May it leave the overlay?
	TableErrors      TableID = 45 // Is the ICMP error between the apps of its connection?
	TablePolicy      TableID = 50 // May the source group talk to the destination group?
	TableOutput      TableID = 60 // Deliver it, and remember the connection.
	TableDeny        TableID = 70 // Who is told that it was denied, and why?
)

// Contract says what a table is for and what its flows may do. Check holds
// compiled tables to it, and docs/pipeline.md is generated from it.
type Contract struct {
	ID       TableID
	Name     string    // one lowercase word: OVS prints other names in quotes
	File     string    // source file in flows/
	Question string    // the one that the table answers
	Next     []TableID // goto_table and ct(table=) may lead here and nowhere else
	Reads    []string  // fields matched or copied from: register fields by name, others as OVS names them
	Writes   []string  // fields set
	Tracks   []string  // what its ct() actions do: "track", "commit"
	Outputs  []string  // where packets may leave the pipeline; nil: nowhere
	Why      string    // why it is a table of its own, here in the order
	Drop     string    // what a packet counted by its last flow was
	Reason   Reason    // why its last flow denies; 0: it drops, and nobody is told
}

// TableNames returns the pipeline's table names by number, for OVSDB's
// Bridge.flow_tables.
func TableNames() map[uint8]string {
	names := make(map[uint8]string, len(contracts))
	for _, c := range contracts {
		names[uint8(c.ID)] = c.Name
	}
	return names
}

// Contracts returns the pipeline in the order in which packets pass it. Each
// call returns its own slice.
func Contracts() []Contract { return slices.Clone(contracts) }

// String returns the table's name, or its number if the pipeline has no such table.
func (t TableID) String() string {
	if c, ok := contractOf(t); ok {
		return c.Name
	}
	return strconv.Itoa(int(t))
}

// ParseTableID accepts a name of the pipeline or any number 0 to 254.
func ParseTableID(s string) (TableID, error) {
	for i := range contracts {
		if contracts[i].Name == s {
			return contracts[i].ID, nil
		}
	}
	n, err := strconv.ParseUint(s, 10, 8)
	if err != nil || n == 255 {
		return 0, fmt.Errorf("table %q: must be one of the pipeline's names or 0 to 254", s)
	}
	return TableID(n), nil
}

func contractOf(t TableID) (*Contract, bool) {
	for i := range contracts {
		if contracts[i].ID == t {
			return &contracts[i], true
		}
	}
	return nil, false
}
