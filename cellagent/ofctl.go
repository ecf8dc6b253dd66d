package cellagent

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os/exec"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/weft-sdn/weft/flows"
)

// ofctl is a Switch that starts ovs-ofctl: the way to read what a switch holds, and
// the one to compare and apply what the OpenFlow connection has no encoding for.
// The version of OpenFlow is fixed because the text of a dump depends on it.
type ofctl struct {
	program string // path or name of ovs-ofctl
	socket  string // the bridge's management socket
}

// NewSwitch returns the Switch of a bridge that starts a process for each call:
// program is ovs-ofctl, socket the path of the bridge's management socket.
func NewSwitch(program, socket string) Switch { return ofctl{program: program, socket: socket} }

// DumpFlows implements Switch.
func (o ofctl) DumpFlows(ctx context.Context) (flows.Table, error) {
	out, err := o.run(ctx, nil, "dump-flows", "--no-names", "--no-stats", "unix:"+o.socket)
	if err != nil {
		return nil, fmt.Errorf("dump flows: %w", err)
	}
	table, err := flows.ParseFlows(string(out))
	if err != nil {
		return nil, fmt.Errorf("dump flows: %w", err)
	}
	return table, nil
}

// Compare implements Switch. Timeouts, and what else a dump's text does not keep,
// make no difference.
func (o ofctl) Compare(ctx context.Context, want []flows.Fragment) (have flows.Table, same bool, err error) {
	have, err = o.DumpFlows(ctx)
	if err != nil || flows.Same(have, slices.Values(want)) {
		return nil, err == nil, err
	}
	return have, false, nil
}

// Apply implements Switch.
func (o ofctl) Apply(ctx context.Context, add, remove []flows.Flow) error {
	lines := make([]string, 0, len(add)+len(remove))
	for _, f := range remove {
		lines = append(lines, deleteLine(f))
	}
	for _, f := range add {
		lines = append(lines, "add "+numbered(f.String()))
	}
	if len(lines) == 0 {
		return nil
	}
	return o.bundle(ctx, "add-flows", lines)
}

// Replace implements Switch.
func (o ofctl) Replace(ctx context.Context, table flows.Table) error {
	lines := make([]string, len(table))
	for i, f := range table {
		lines[i] = numbered(f.String())
	}
	return o.bundle(ctx, "replace-flows", lines)
}

func (o ofctl) bundle(ctx context.Context, command string, lines []string) error {
	input := strings.Join(lines, "\n") + "\n"
	_, err := o.run(ctx, strings.NewReader(input), "--bundle", "--no-names", command, "unix:"+o.socket, "-")
	var failed *exec.ExitError
	if errors.As(err, &failed) {
		if refused := explain(string(failed.Stderr), lines); refused != nil {
			return refused
		}
	}
	return err
}

func (o ofctl) run(ctx context.Context, input *strings.Reader, args ...string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, switchTimeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, o.program, append([]string{"-O", flows.OpenFlow}, args...)...)
	if input != nil {
		cmd.Stdin = input
	}
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	if err != nil && ctx.Err() != nil {
		return nil, fmt.Errorf("%s: the switch does not answer: is ovs-vswitchd, or ovsdb-server, stuck? %w", o.program, ctx.Err())
	}
	var failed *exec.ExitError
	if errors.As(err, &failed) {
		failed.Stderr = stderr.Bytes()
		return nil, fmt.Errorf("%s: %w", strings.TrimSpace(stderr.String()), failed)
	}
	if errors.Is(err, exec.ErrNotFound) || errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("run %s: %w: apt-get install openvswitch-common", o.program, err)
	}
	if err != nil {
		return nil, fmt.Errorf("run %s: %w", o.program, err)
	}
	return stdout.Bytes(), nil
}

// deleteLine removes exactly this flow: the same table, priority and match.
func deleteLine(f flows.Flow) string {
	line := fmt.Sprintf("delete_strict table=%d,priority=%d", f.Table, f.Priority)
	if f.Match != "" {
		line += "," + f.Match
	}
	return line
}

var tableReference = regexp.MustCompile(`\b(goto_table:|table=)([a-z][a-z0-9]*)`)

var tableNumbers = func() map[string]string {
	numbers := map[string]string{}
	for number, name := range flows.TableNames() {
		numbers[name] = strconv.Itoa(int(number))
	}
	return numbers
}()

// numbered writes tables as numbers. To resolve names, ovs-ofctl asks the switch for the
// features of all its 254 tables: 10 ms a call instead of 3 ms, and it depends
// on what the database calls them.
func numbered(flow string) string {
	return tableReference.ReplaceAllStringFunc(flow, func(ref string) string {
		at := strings.IndexAny(ref, ":=") + 1
		if number, known := tableNumbers[ref[at:]]; known {
			return ref[:at] + number
		}
		return ref
	})
}

var (
	parserComplaint = regexp.MustCompile(`(?m)^ovs-ofctl: -:(\d+): (.*)$`)
	switchComplaint = regexp.MustCompile(`(?m)^(?:Error (\S+) for|(OFPT_ERROR.*?)): ?.*?OFPT_FLOW_MOD[^:]*: (.*)$`)
)

// explain finds the refused flow in what ovs-ofctl printed: either it did not
// understand line n of its input, or the switch answered with an error and the
// message that caused it. Nil if it was neither.
func explain(stderr string, lines []string) *RefusedError {
	if m := parserComplaint.FindStringSubmatch(stderr); m != nil {
		refused := &RefusedError{Reason: m[2]}
		if n, err := strconv.Atoi(m[1]); err == nil && n >= 1 && n <= len(lines) {
			refused.Flow = lines[n-1]
		}
		return refused
	}
	if m := switchComplaint.FindStringSubmatch(stderr); m != nil {
		return &RefusedError{Flow: m[3], Reason: m[1] + m[2]}
	}
	return nil
}
