package main

import (
	"context"
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
	if err := root.ExecuteContext(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "weft: "+err.Error())
		if next := cli.nextStep(err); next != "" {
			fmt.Fprintln(os.Stderr, "  "+next)
		}
		return 1
	}
	return 0
}
