package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"
)

func main() { os.Exit(run()) }

// run executes the command line and returns the exit status.
func run() int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	cli := &cli{}
	root := newRoot(cli)
	err := root.ExecuteContext(ctx)
	if errors.Is(err, errDifferent) {
		return 1
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "weft: "+err.Error())
		if next := cli.nextStep(err); next != "" {
			fmt.Fprintln(os.Stderr, "  "+next)
		}
		if errors.As(err, new(errTrouble)) {
			return 2
		}
		return 1
	}
	return 0
}
