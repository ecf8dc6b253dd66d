package main

import (
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"
	"text/tabwriter"
	"unicode/utf8"
)

// print writes the document as JSON if -o json was given, else calls table.
func (c *cli) print(out io.Writer, document any, table func() error) error {
	if c.output != "json" {
		return table()
	}
	enc := json.NewEncoder(out)
	enc.SetIndent("", "  ")
	enc.SetEscapeHTML(false)
	return enc.Encode(document)
}

// printTable writes aligned columns. Cells are made safe for a terminal.
func printTable(out io.Writer, headers []string, rows [][]string) error {
	w := tabwriter.NewWriter(out, 0, 8, 2, ' ', 0)
	fmt.Fprintln(w, strings.Join(headers, "\t"))
	for _, row := range rows {
		for i, cell := range row {
			row[i] = safe(cell)
		}
		fmt.Fprintln(w, strings.Join(row, "\t"))
	}
	return w.Flush()
}

// safe quotes what a terminal would not simply print: names come from whoever
// may write policies.
func safe(s string) string {
	switch {
	case s == "":
		return "-"
	case !utf8.ValidString(s), strings.IndexFunc(s, func(r rune) bool { return !strconv.IsPrint(r) }) >= 0:
		return strconv.QuoteToASCII(s)
	}
	return s
}
