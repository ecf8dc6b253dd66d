package fleet

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

// command is a line that Serve reads: one of its fields is there.
type command struct {
	New     *Options `json:",omitempty"`
	Lease   bool     `json:",omitempty"`
	Connect bool     `json:",omitempty"`
	Status  bool     `json:",omitempty"`
	Behave  *Manner  `json:",omitempty"` // of Cells
	Churn   *Churn   `json:",omitempty"`
	Restart int      `json:",omitempty"` // of Cells, so many times
	Cells   []int    `json:",omitempty"`
}

// answer is a line that Serve writes, one for each command, in order.
type answer struct {
	Error   string   `json:",omitempty"`
	Status  *Status  `json:",omitempty"`
	Churned *Churned `json:",omitempty"`
}

// Serve does what the lines of in say, until they end, and answers each.
func Serve(ctx context.Context, in io.Reader, out io.Writer) error {
	var f *Fleet
	defer func() {
		if f != nil {
			f.Close()
		}
	}()
	commands, answers := json.NewDecoder(in), json.NewEncoder(out)
	for {
		var c command
		if err := commands.Decode(&c); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return fmt.Errorf("fleet: command: %w", err)
		}
		var a answer
		var err error
		switch {
		case c.New != nil && f == nil:
			f, err = New(*c.New)
		case f == nil:
			err = errors.New("the first command must be New")
		default:
			a, err = f.obey(ctx, c)
		}
		if err != nil {
			a.Error = err.Error()
		}
		if err := answers.Encode(a); err != nil {
			return fmt.Errorf("fleet: answer: %w", err)
		}
	}
}

func (f *Fleet) obey(ctx context.Context, c command) (a answer, err error) {
	switch {
	case c.Lease:
		err = f.Lease(ctx)
	case c.Connect:
		f.Connect()
	case c.Status:
		a.Status = new(f.Status())
	case c.Behave != nil:
		f.Behave(c.Cells, *c.Behave)
	case c.Churn != nil:
		churned, failed := f.Churn(ctx, *c.Churn)
		a.Churned, err = &churned, failed
	case c.Restart > 0:
		err = f.Restart(ctx, c.Cells, c.Restart)
	default:
		err = errors.New("unknown command")
	}
	return a, err
}
