// Command weft-cni is the CNI plugin that container runtimes run.
package main

import (
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/containernetworking/cni/pkg/skel"

	"github.com/weft-sdn/weft/buildinfo"
	"github.com/weft-sdn/weft/cni"
)

// about is for people who run it by hand: without a command in the environment
// it prints this, and the versions of CNI.
var about = `weft-cni ` + buildinfo.Version() + ` plugs containers into a cell of the Weft SDN.
Container runtimes run it, by CNI's rules: the command is in the environment, the
network's configuration on standard input. Would an ADD succeed on this cell now?

  echo '{"cniVersion": "1.1.0", "name": "weft", "type": "weft-cni"}' |
    CNI_COMMAND=STATUS CNI_PATH=/opt/cni/bin /opt/cni/bin/weft-cni && echo ready

Every key and error, and what podman, containerd and Garden need, is in docs/cni.md;
cnitool of the CNI project calls plugins by hand.`

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
