package testbed

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"time"
)

// Event is a line of a cell's flow log, as who reads the file sees it.
type Event struct {
	Line string `json:"-"`
	At   string `json:"-"` // the cell whose file it is in

	Time                                    time.Time
	Cell, Direction, Verdict, Reason, Table string
	Protocol                                string
	SourceIP                                string `json:"source_ip"`
	SourcePort                              int    `json:"source_port"`
	DestinationIP                           string `json:"destination_ip"`
	DestinationPort                         int    `json:"destination_port"`
	SourceApp                               string `json:"source_app"`
	SourceGroup                             uint16 `json:"source_group"`
	SourceContainer                         string `json:"source_container"`
	DestinationApp                          string `json:"destination_app"`
	DestinationGroup                        uint16 `json:"destination_group"`
	DestinationContainer                    string `json:"destination_container"`
	Policy                                  uint64
	Cookie                                  string
	Suppressed                              uint64
	DryRun                                  bool `json:"dry_run"`
}

func (c *cell) flowLog() string { return c.path("flows.log") }

// FlowLog returns the lines of the cell's flow log that say everything of
// which, for example {SourceApp: "cats", Verdict: "denied"}.
func (c *Cell) FlowLog(which Event) []Event {
	c.bed.Helper()
	data, err := os.ReadFile(c.flowLog())
	if !os.IsNotExist(err) {
		c.bed.must(err)
	}
	wanted := which.said()
	var events []Event
	for line := range bytes.Lines(data) {
		e := Event{Line: strings.TrimSpace(string(line)), At: c.name}
		if err := json.Unmarshal(line, &e); err != nil {
			c.bed.Errorf("%s: a line of the flow log is no JSON: %v: %s", c.name, err, line)
			continue
		}
		if e.says(wanted) {
			events = append(events, e)
		}
	}
	return events
}

// Provoke does something again and again until the cell's flow log has a line
// that says everything of which, and returns it. A container that has just
// started has no identity for a moment, and the log is limited in rate.
func (c *Cell) Provoke(which Event, something func()) Event {
	c.bed.Helper()
	err := c.bed.Eventually(func() error {
		something()
		time.Sleep(100 * time.Millisecond)
		if len(c.FlowLog(which)) == 0 {
			return fmt.Errorf("no line of %s's flow log says %v", c.name, which.said())
		}
		return nil
	})
	if err != nil {
		c.bed.Fatalf("%v; its last are:\n%s", err, c.lastEvents())
	}
	return c.FlowLog(which)[0]
}

// AwaitLog returns the first line of the cell's flow log that says everything
// of which.
func (c *Cell) AwaitLog(which Event) Event {
	c.bed.Helper()
	err := c.bed.Eventually(func() error {
		if len(c.FlowLog(which)) == 0 {
			return fmt.Errorf("no line of %s's flow log says %v", c.name, which.said())
		}
		return nil
	})
	if err != nil {
		c.bed.Fatalf("%v; its last are:\n%s", err, c.lastEvents())
	}
	return c.FlowLog(which)[0]
}

func (c *Cell) lastEvents() string {
	all := c.FlowLog(Event{})
	var lines []string
	for _, e := range all[max(0, len(all)-8):] {
		lines = append(lines, e.Line)
	}
	return strings.Join(lines, "\n")
}

// said returns the keys and values that are not zero.
func (e Event) said() map[string]any {
	data, err := json.Marshal(e)
	if err != nil {
		panic(fmt.Sprintf("testbed: %v", err)) // a struct of plain values
	}
	var all map[string]any
	if err := json.Unmarshal(data, &all); err != nil {
		panic(fmt.Sprintf("testbed: %v", err))
	}
	for key, value := range all {
		switch value {
		case "", 0.0, false, "0001-01-01T00:00:00Z":
			delete(all, key)
		}
	}
	return all
}

func (e Event) says(wanted map[string]any) bool {
	said := e.said()
	for key, value := range wanted {
		if said[key] != value {
			return false
		}
	}
	return true
}
