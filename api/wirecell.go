package api

import "time"

// Wire types of what a cell's agent answers on its unix socket, pinned by
// testdata/*.json like all others.

// Checkup is the answer of GET /doctor: what of the cell's host will make the
// overlay fail, looked at for this answer.
type Checkup struct {
	Cell     string    `json:"cell"`
	At       time.Time `json:"at"`
	Findings []Finding `json:"findings"` // everything that was looked at, by check
}

// Finding is one thing that was looked at on a cell's host.
type Finding struct {
	Check  string `json:"check"` // a short name that stays the same, such as "underlay-mtu"
	Level  Level  `json:"level"`
	Text   string `json:"text"`             // one sentence: what is, with the values seen
	Remedy string `json:"remedy,omitempty"` // a command or a setting; absent where all is well
}

// Level says how bad a finding is.
type Level string

// The levels.
const (
	LevelOK      Level = "ok"      // as it should be
	LevelWarning Level = "warning" // works now, or for most; may fail later, or for some
	LevelError   Level = "error"   // traffic fails, or will
)

// Worst is the worst level of all findings, LevelOK for none.
func (c Checkup) Worst() Level {
	worst := LevelOK
	for _, f := range c.Findings {
		if f.Level == LevelError || worst == LevelOK {
			worst = f.Level
		}
	}
	return worst
}
