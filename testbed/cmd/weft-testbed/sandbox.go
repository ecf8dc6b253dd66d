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

// sandboxHelp is shown before the prompt. Its arguments are addresses.
const sandboxHelp = `
Three cells are up. Containers: cats-1 (%s, cell-1), cats-2 (%s, cell-3) and dogs-3 (%s, cell-2).
All answer what they are sent on tcp/8080 and udp/8080. Try:

  reach cats-1 %[3]s 8080                           denied: no policy
  weft allow-access cats dogs --protocol tcp --port 8080 --wait
  reach cats-1 %[3]s 8080                           answers
  weft cells; weft endpoints; weft groups; weft list-access
  cell 2 ovs-ofctl --names dump-flows br-weft       any command on a cell
  cell 2 ovs-vsctl show
  capture                                           tunnel packets (^C ends it)
  ls $WEFT_TESTBED/log                              everybody's logs

exit ends the sandbox; nothing of it stays.

`

// sandboxShell is the shell's start-up file. %s is the bed's folder.
const sandboxShell = `PS1='weft sandbox # '
cell() { local n=$1; shift; ip netns exec cell-$n env OVS_RUNDIR=$WEFT_TESTBED/cell-$n/ovs "$@"; }
reach() { echo "hello from $1" | ip netns exec "$1" busybox nc -w 2 "$2" "$3" || echo "$2 port $3: no answer"; }
capture() { tcpdump -nn -l -i underlay udp port 4789 "$@"; }
`

func sandbox() error {
	n := &narrator{start: time.Now()}
	return n.play(func() {
		shared, err := testbed.Start(testbed.Options{Progress: n})
		if err != nil {
			n.Fatalf("%v", err)
		}
		bed := shared.For(n)
		all := []*testbed.Container{bed.Cell(1).Run("cats"), bed.Cell(3).Run("cats"), bed.Cell(2).Run("dogs")}
		for _, c := range all {
			c.Serve("tcp/8080")
			c.Serve("udp/8080")
		}
		rc := filepath.Join(bed.Dir(), "sandbox.bash")
		if err := os.WriteFile(rc, []byte(sandboxShell), 0o644); err != nil {
			n.Fatalf("%v", err)
		}
		shell := exec.Command("bash", "--noprofile", "--rcfile", rc, "-i")
		if script := os.Getenv(envScript); script != "" {
			shell = exec.Command("bash", "--noprofile", "-c", ". "+rc+"\n"+script)
		} else {
			fmt.Printf(sandboxHelp, all[0].IP, all[1].IP, all[2].IP)
		}
		shell.Env = append(append(os.Environ(), bed.Environment()...), "WEFT_TESTBED="+bed.Dir())
		shell.Stdin, shell.Stdout, shell.Stderr = os.Stdin, os.Stdout, os.Stderr
		var exit *exec.ExitError
		if err := shell.Run(); err != nil && (!errors.As(err, &exit) || os.Getenv(envScript) != "") {
			n.Fatalf("shell: %v", err) // a person's last command may fail, a script may not
		}
	})
}
