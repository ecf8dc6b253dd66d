package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"github.com/weft-sdn/weft/testbed"
	"github.com/weft-sdn/weft/testbed/lab"
)

// envScript carries a script from standard input into the lab.
const envScript = "WEFT_SANDBOX_SCRIPT"

// runSandbox gives a person a shell, and a pipe a shell that runs its script.
func runSandbox(c *cobra.Command, args []string) error {
	job := lab.Job{}
	if !lab.Inside() {
		if _, err := unix.IoctlGetTermios(int(os.Stdin.Fd()), unix.TCGETS); err == nil {
			job.Interactive = true
		} else {
			script, err := io.ReadAll(os.Stdin)
			if err != nil {
				return fmt.Errorf("read the script: %w", err)
			}
			job.Env = []string{envScript + "=" + string(script) + "\n"}
		}
	}
	return inLab(job, sandbox)(c, args)
}

// sandboxHelp is shown before the prompt.
const sandboxHelp = `
Three cells are up. Containers: cats-1 on cell-1, dogs-1 on cell-2, cats-2 on cell-3.
All answer what they are sent on tcp/8080 and udp/8080. Try:

  reach cats-1 dogs-1 8080                          no answer: no policy
  weft allow-access cats dogs --protocol tcp --port 8080 --wait
  reach cats-1 dogs-1 8080                          answers
  weft cells; weft endpoints; weft groups; weft policies
  cell 2 ovs-ofctl --names dump-flows br-weft       any command on a cell
  cell 2 ovs-vsctl show
  cell 2 weft-agent status --socket $WEFT_TESTBED/cell-2/agent.sock
  capture                                           tunnel packets (^C ends it)
  tail -f $WEFT_TESTBED/cell-2/flows.log            who was denied on cell-2, and why
  ls $WEFT_TESTBED/log                              everybody's logs

exit ends the sandbox; nothing of it stays.

`

// sandboxShell is the shell's start-up file.
const sandboxShell = `PS1='weft sandbox # '
cell() { local n=$1; shift; ip netns exec cell-$n env OVS_RUNDIR=$WEFT_TESTBED/cell-$n/ovs "$@"; }
address() { ip -n "$1" -4 -o address show dev eth0 | awk '{ sub("/.*", "", $4); print $4 }'; }
reach() { echo "hello from $1" | ip netns exec "$1" busybox nc -w 2 "$(address "$2")" "$3" || echo "$2 port $3: no answer"; }
capture() { tcpdump -nn -l -i underlay udp port 4789 "$@"; }
`

func sandbox() error {
	n := &narrator{start: time.Now()}
	script := os.Getenv(envScript)
	var ended error // of the shell
	err := n.play(func() {
		shared, err := testbed.Start(testbed.Options{Progress: n})
		if err != nil {
			n.Fatalf("%v", err)
		}
		bed := shared.For(n)
		all := []*testbed.Container{bed.Cell(1).Run("cats"), bed.Cell(2).Run("dogs"), bed.Cell(3).Run("cats")}
		for _, c := range all {
			c.Serve("tcp/8080")
			c.Serve("udp/8080")
		}
		rc := filepath.Join(bed.Dir(), "sandbox.bash")
		if err := os.WriteFile(rc, []byte(sandboxShell), 0o644); err != nil {
			n.Fatalf("%v", err)
		}
		shell := exec.Command("bash", "--noprofile", "--rcfile", rc, "-i")
		if script != "" {
			shell = exec.Command("bash", "--noprofile", "-c", ". "+rc+"\n"+script)
		} else {
			fmt.Print(sandboxHelp)
		}
		shell.Env = append(append(os.Environ(), bed.Environment()...), "WEFT_TESTBED="+bed.Dir())
		shell.Stdin, shell.Stdout, shell.Stderr = os.Stdin, os.Stdout, os.Stderr
		ended = shell.Run()
	})
	var exit *exec.ExitError
	switch {
	case err != nil:
		return err
	case errors.As(ended, &exit) && script == "":
		return nil // a person's last command may fail, a script may not
	case exit != nil:
		return &lab.ExitError{Code: exit.ExitCode()}
	}
	return ended
}
