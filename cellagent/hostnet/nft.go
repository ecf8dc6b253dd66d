package hostnet

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// nft runs the nft program with a script on its standard input, which it
// applies wholly or not at all.
func nft(ctx context.Context, script string, options ...string) (string, error) {
	return runNft(ctx, script, append(options, "-f", "-")...)
}

func runNft(ctx context.Context, input string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, "nft", args...)
	cmd.Stdin = strings.NewReader(input)
	var out, problem bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &problem
	cmd.WaitDelay = time.Second // for what it may have started itself
	err := cmd.Run()
	switch {
	case errors.Is(err, exec.ErrNotFound):
		return "", fmt.Errorf("the program nft is missing (apt-get install nftables): %w", exec.ErrNotFound)
	case err != nil:
		return "", fmt.Errorf("nft: %w: %s", err, strings.TrimSpace(problem.String()))
	}
	return out.String(), nil
}

// absent is what nft says of a table or set that is not there.
const absent = "No such file or directory"

// list returns the table as nft prints it, without counts and without what is
// in its sets; "" if there is no such table.
func list(ctx context.Context, family string) (string, error) {
	text, err := nft(ctx, fmt.Sprintf("list table %s %s\n", family, name), "-s", "-t")
	if err != nil && strings.Contains(err.Error(), absent) {
		return "", nil
	}
	return text, err
}

// replacing returns the script that loads a table after how, "flush" or
// "delete", did away with what there was.
func replacing(how, family, text string) string {
	return fmt.Sprintf("add table %s %s\n%s table %s %s\n%s", family, name, how, family, name, text)
}

// check asks the kernel whether it would load the table.
func check(ctx context.Context, family, text string) error {
	_, err := nft(ctx, replacing("delete", family, text), "-c")
	return err
}

// load puts the rules in place of those that are there; what the table counted
// and remembers of limits stays. A table of another make is replaced whole. have is
// the table as listed.
func load(ctx context.Context, family, text, have string) error {
	if have != "" && objectsOf(have) == objectsOf(text) {
		if _, err := nft(ctx, replacing("flush", family, text)); err == nil {
			return nil
		}
	}
	if _, err := nft(ctx, replacing("delete", family, text)); err != nil {
		return fmt.Errorf("load table %s %s: %w", family, name, err)
	}
	return nil
}

// counted are a table's head and its counters as nft lists them.
var counted = regexp.MustCompile(`table (\w+) (\w+) \{|counter (\w+) \{\s+packets (\d+)`)

// Counts returns the packets of both tables' counters by "family counter"; none
// of a table that is not there.
func Counts(ctx context.Context) (map[string]uint64, error) {
	text, err := nft(ctx, "list counters\n") // of every table: one process instead of two
	if err != nil {
		return nil, err
	}
	out, family := map[string]uint64{}, ""
	for _, m := range counted.FindAllStringSubmatch(text, -1) {
		switch {
		case m[1] != "" && m[2] == name:
			family = m[1]
		case m[1] != "":
			family = ""
		case family != "":
			n, err := strconv.ParseUint(m[4], 10, 64)
			if err != nil {
				return nil, fmt.Errorf("nft: counter %s: %w", m[3], err)
			}
			out[family+" "+m[3]] = n
		}
	}
	return out, nil
}

// unload removes the table and reports whether it was there.
func unload(ctx context.Context, family string) (bool, error) {
	_, err := nft(ctx, fmt.Sprintf("delete table %s %s\n", family, name))
	if err != nil && strings.Contains(err.Error(), absent) {
		return false, nil
	}
	return err == nil, err
}
