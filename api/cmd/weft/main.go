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
	cmd, err := root.ExecuteContextC(ctx)
	if errors.Is(err, errDifferent) || errors.Is(err, errUnwell) {
		return 1
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "weft: "+err.Error())
		if next := cli.nextStep(err); next != "" {
			fmt.Fprintln(os.Stderr, "  "+next)
		}
		if cmd.Name() == diffName { // whose 1 means something else
			return 2
		}
		return 1
	}
	return 0
}
