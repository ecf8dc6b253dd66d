// Command flowdump shows what the compiler does, without a switch:
//
//	flowdump cell.json            prints the table of a cell's state
//	flowdump -cookie 0x4…07       says what caused a dumped flow, and which file compiles it
//	flowdump -doc                 rewrites the generated parts of docs/pipeline.md
//
// cell.json is a flows.CellState with the names of its Go fields; the
// scenarios in flows/testdata each have one.
package main

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"

	"github.com/weft-sdn/weft/flows"
)

func main() {
	if err := run(os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "flowdump:", err)
		os.Exit(1)
	}
}

func run(args []string, out io.Writer) error {
	set := flag.NewFlagSet("flowdump", flag.ContinueOnError)
	set.SetOutput(out)
	doc := set.Bool("doc", false, "rewrite the generated parts of docs/pipeline.md, or of the file given")
	cookie := set.String("cookie", "", "explain a flow's cookie, as ovs-ofctl prints it")
	set.Usage = func() {
		fmt.Fprintln(out, "usage: flowdump cell.json | flowdump -cookie 0x… | flowdump -doc [docs/pipeline.md]")
		set.PrintDefaults()
	}
	if err := set.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return nil
		}
		return err
	}
	switch {
	case *cookie != "" && set.NArg() == 0:
		return explain(*cookie, out)
	case *doc && set.NArg() <= 1:
		path := "docs/pipeline.md"
		if set.NArg() == 1 {
			path = set.Arg(0)
		}
		return rewrite(path)
	case !*doc && *cookie == "" && set.NArg() == 1:
		return dump(set.Arg(0), out)
	}
	set.Usage()
	return fmt.Errorf("want one of: a file with a cell's state, -cookie, -doc")
}

// dump prints the table of the state in a file, in the order of packets.
func dump(path string, out io.Writer) error {
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer file.Close()
	var cell flows.CellState
	dec := json.NewDecoder(file)
	dec.DisallowUnknownFields()
	if err := dec.Decode(&cell); err != nil {
		return fmt.Errorf("read %s: %w", path, err)
	}
	if err := cell.Validate(); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	table := flows.Compile(cell)
	if err := flows.Check(table); err != nil {
		return fmt.Errorf("%s: the compiled table breaks its contracts: %w", path, err)
	}
	_, err = io.WriteString(out, table.String())
	return err
}

func explain(text string, out io.Writer) error {
	c, err := flows.ParseCookie(text)
	if err != nil {
		return err
	}
	kind, file, err := flows.Explain(c)
	if err != nil {
		return err
	}
	what := ""
	switch kind {
	case flows.KindBase:
		what = fmt.Sprintf("the pipeline itself, table %v: on every cell", flows.TableID(c.ID()))
	case flows.KindEndpoint:
		what = fmt.Sprintf("the container at %v on this cell", c.IP())
	case flows.KindCell:
		what = fmt.Sprintf("the other cell with the VTEP %v", c.IP())
	case flows.KindPolicy:
		what = fmt.Sprintf("policy %d", c.ID())
	case flows.KindEgress:
		profile, place := c.Egress()
		what = fmt.Sprintf("rule %d of egress/%v, the egress rules of every container here that has them", place, profile)
		if place == 0 {
			what = fmt.Sprintf("ICMP errors about connections that egress/%v let out", profile)
		}
	case flows.KindPolicies:
		what = "several policies together: ports that all of them cover; `weft explain` lists them"
	}
	_, err = fmt.Fprintf(out, "%v\nkind  %v\ncause %s\nfile  %s\n", c, kind, what, file)
	return err
}
