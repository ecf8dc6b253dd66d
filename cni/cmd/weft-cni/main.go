// Command weft-cni is the CNI plugin that container runtimes run.
package main

import (
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/containernetworking/cni/pkg/skel"

	"github.com/weft-sdn/weft/cni"
)

const about = "weft-cni plugs containers into a cell of the Weft SDN; container runtimes run it"

func main() {
	signal.Ignore(syscall.SIGPIPE) // a runtime that is gone must not keep ADD from taking back what it did
	plugin := cni.Plugin{Stdout: os.Stdout}
	if err := skel.PluginMainFuncsWithError(plugin.Funcs(), cni.Versions, about); err != nil {
		if printErr := err.Print(); printErr != nil {
			fmt.Fprintln(os.Stderr, printErr)
		}
		os.Exit(1)
	}
}
