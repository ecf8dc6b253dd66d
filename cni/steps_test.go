package cni

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/containernetworking/cni/pkg/skel"
	"github.com/containernetworking/cni/pkg/types"
)

// AddBreaking is ADD whose n-th step is followed by one that fails. It returns
// the names of the steps before the failure; there is no n-th if they are all.
func AddBreaking(args *skel.CmdArgs, n int) (done []string, all int, err error) {
	conf, err := ParseConfig(args.StdinData)
	if err != nil {
		return nil, 0, err
	}
	ctx, cancel := context.WithTimeout(context.Background(), conf.ReadyTimeout)
	defer cancel()
	a, err := prepare(ctx, conf, invocation(args))
	if err != nil {
		return nil, 0, err
	}
	defer a.db.Close()
	steps := a.steps()
	for _, s := range steps[:n] {
		done = append(done, s.name)
	}
	broken := step{name: "breaking", do: func(context.Context) error { return errors.New("as the test wants it") }}
	return done, len(steps), run(ctx, append(steps[:n:n], broken), func(string) {})
}

// TestUndoGoesOnAfterAFailure: all that can be taken back is, in reverse, and
// the error has the cause first and says what could not.
func TestUndoGoesOnAfterAFailure(t *testing.T) {
	var done, undone []string
	make := func(name string, undo error) step {
		return step{name, func(context.Context) error { return nil }, func(context.Context) error {
			undone = append(undone, name)
			return undo
		}}
	}
	cause := failure(types.ErrTryAgainLater, "nobody answers", "look at it")
	ctx, cancel := context.WithCancel(context.Background())
	err := run(ctx, []step{make("a", nil), make("b", errors.New("stuck")), make("c", nil), {
		"d", func(context.Context) error { cancel(); return fmt.Errorf("waiting: %w", cause) }, nil,
	}}, func(name string) { done = append(done, name) })
	var shown *types.Error
	if !errors.As(err, &shown) || shown.Code != types.ErrTryAgainLater || shown.Msg != `nobody answers; undoing "b" failed: stuck` ||
		!strings.HasPrefix(shown.Details, "look at it") || !strings.Contains(shown.Details, "call DEL") {
		t.Errorf("error is %#v", err)
	}
	if strings.Join(undone, " ") != "c b a" {
		t.Errorf("undone: %v, expected c, b, a", undone)
	}
	if want := "a, b, c, undoing: c, undoing: b, undoing: a"; strings.Join(done, ", ") != want {
		t.Errorf("told of %v, expected %v", done, want)
	}
}
