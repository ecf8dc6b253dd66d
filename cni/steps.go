package cni

import (
	"context"
	"fmt"
	"slices"
)

// step is one thing that ADD does, and how it is taken back. A step that fails
// leaves nothing of its own; undo may find nothing to do.
type step struct {
	name string
	do   func(context.Context) error
	undo func(context.Context) error // nil: there is nothing to take back
}

// Undone is what the name of a step that was taken back begins with.
const Undone = "undoing: "

// run takes the steps in order, and says each that it did or took back. If one
// fails, all of those before it are undone in reverse, in time of their own: ctx
// may be what ended. The error is a *types.Error.
func run(ctx context.Context, steps []step, did func(string)) error {
	for i, s := range steps {
		err := s.do(ctx)
		if err == nil {
			did(s.name)
			continue
		}
		shown := *coded(CodeAttach, fmt.Errorf("%s: %w", s.name, err), lookAtCell)
		left := false
		undoing, cancel := context.WithTimeout(context.WithoutCancel(ctx), undoTimeout)
		defer cancel()
		for _, before := range slices.Backward(steps[:i]) {
			if before.undo == nil {
				continue
			}
			if err := before.undo(undoing); err != nil {
				shown.Msg += fmt.Sprintf("; undoing %q failed: %v", before.name, err)
				left = true
			}
			did(Undone + before.name)
		}
		if left {
			shown.Details += "; call DEL, which takes away what is left"
		}
		return &shown
	}
	return nil
}
