package main

import (
	"context"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/weft-sdn/weft/api"
)

// auditPage is how many entries one request asks for, at most.
const auditPage = 100

// audit is what the flags of weft audit say.
type audit struct {
	*cli
	app, by, since string
	limit          int
}

// newAudit returns weft audit.
func newAudit(c *cli) *cobra.Command {
	a := &audit{cli: c}
	cmd := &cobra.Command{
		Use:   "audit",
		Short: "Show who changed what, and when",
		Long: `Show what people and programs changed, newest first: policies that were added
(+), described anew (~) and removed (-), the log of accepted connections, and
what else the change log has; -o json has long lines whole. BY is the name that
the controller knew the caller by. The log goes back as far as the controller keeps it.`,
		Example: `  weft audit
  weft audit --app dogs --since 24h
  weft audit --by alice --since 2026-11-01 --limit 1000
  weft audit -o json | jq '.entries[] | {at, by, added}'`,
		Args: cobra.NoArgs,
		RunE: a.run,
	}
	flags := cmd.Flags()
	flags.StringVar(&a.app, "app", "", "only changes that concern this app")
	flags.StringVar(&a.by, "by", "", "only changes by this caller")
	flags.StringVar(&a.since, "since", "", "only changes since then: a duration such as 90m or 7d, or a time such as 2026-11-01 or 2026-11-01T08:00:00Z")
	flags.IntVar(&a.limit, "limit", auditPage, "at most so many changes")
	return cmd
}

func (a *audit) run(cmd *cobra.Command, _ []string) error {
	ctx := cmd.Context()
	since, err := sinceTime(a.since, time.Now())
	if err != nil {
		return err
	}
	if a.limit < 1 {
		return fmt.Errorf("--limit %d: must be at least 1", a.limit)
	}
	known, err := a.names()
	if err != nil {
		return err
	}
	if err := known.mustResolve(ctx, a.app); a.app != "" && err != nil {
		return err
	}
	client, err := a.client()
	if err != nil {
		return err
	}
	entries, err := a.fetch(ctx, client, api.AuditQuery{App: known.id(a.app), By: a.by}, since)
	if err != nil {
		return err
	}
	out := cmd.OutOrStdout()
	return a.print(out, api.AuditList{Entries: entries}, func() error {
		if len(entries) == 0 {
			_, err := fmt.Fprintln(out, "No such change is on record.")
			return err
		}
		learnEntries(ctx, known, entries)
		return printTable(out, []string{"REVISION", "AT", "BY", "CHANGE"}, entryRows(entries, known))
	})
}

// fetch reads pages until there are enough entries or they are too old.
func (a *audit) fetch(ctx context.Context, client *api.Client, query api.AuditQuery, since time.Time) ([]api.AuditEntry, error) {
	entries := []api.AuditEntry{}
	for {
		query.Limit = min(auditPage, a.limit-len(entries))
		page, err := client.Audit(ctx, query)
		if err != nil {
			return nil, err
		}
		for _, e := range page.Entries {
			if e.At.Before(since) {
				return entries, nil
			}
			entries = append(entries, e)
		}
		if page.Next == "" || len(entries) >= a.limit {
			return entries, nil
		}
		before, err := strconv.ParseUint(page.Next, 10, 64)
		if err != nil {
			return nil, fmt.Errorf("reading the audit log: the controller names %q as the next page, which is no revision", page.Next)
		}
		query.Before = api.Revision(before)
	}
}

// sinceTime reads --since; "" is the beginning of time.
func sinceTime(text string, now time.Time) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	for _, layout := range []string{time.RFC3339, time.DateOnly} {
		if at, err := time.ParseInLocation(layout, text, time.Local); err == nil {
			return at, nil
		}
	}
	if days, isDays := strings.CutSuffix(text, "d"); isDays {
		if n, err := strconv.Atoi(days); err == nil && n >= 0 {
			return now.AddDate(0, 0, -n), nil
		}
	}
	if d, err := time.ParseDuration(text); err == nil && d >= 0 {
		return now.Add(-d), nil
	}
	return time.Time{}, fmt.Errorf("--since %q: must be a duration such as 90m or 7d, or a time such as 2026-11-01 or 2026-11-01T08:00:00Z", text)
}

// learnEntries finds the names of the apps in the entries, as far as they are to be had.
func learnEntries(ctx context.Context, known *names, entries []api.AuditEntry) {
	var apps []string
	for _, e := range entries {
		for _, list := range [][]api.PolicyDetail{e.Added, e.Updated, e.Removed} {
			for _, p := range list {
				apps = append(apps, p.Source, p.Destination)
			}
		}
	}
	_ = known.learn(ctx, apps) // GUIDs do
}

// entryRows has a row for each thing that an entry changed.
func entryRows(entries []api.AuditEntry, known *names) [][]string {
	var rows [][]string
	for _, e := range entries {
		for _, change := range changesOf(e, known) {
			rows = append(rows, []string{strconv.FormatUint(e.Revision, 10), e.At.UTC().Format(time.RFC3339), e.By, change})
		}
	}
	return rows
}

// changesOf says what an entry changed, at least one line.
func changesOf(e api.AuditEntry, known *names) []string {
	var lines []string
	for _, some := range []struct {
		mark string
		list []api.PolicyDetail
	}{{"+", e.Added}, {"~", e.Updated}, {"-", e.Removed}} {
		for _, p := range some.list {
			line := some.mark + " " + policyLine(p.PolicyRequest, known)
			if p.Set != "" {
				line += fmt.Sprintf(" (set %s)", safe(p.Set))
			}
			lines = append(lines, line)
		}
	}
	if e.Logging != nil {
		lines = append(lines, "logging "+loggingText(*e.Logging, known))
	}
	if e.Other != "" {
		lines = append(lines, beginning(e.Other))
	}
	if lines == nil {
		lines = []string{"nothing"}
	}
	return lines
}

// beginning cuts a text that would fill a screen: a large set makes thousands
// of group ids. -o json has it whole.
func beginning(text string) string {
	const shown = 120
	runes := []rune(text)
	if len(runes) <= shown {
		return text
	}
	return string(runes[:shown]) + "…"
}

func loggingText(logging api.Logging, known *names) string {
	var apps []string
	for _, app := range logging.Apps {
		apps = append(apps, safe(known.name(app)))
	}
	switch {
	case logging.Accepted:
		return "of every app"
	case len(apps) == 0:
		return "of no app"
	}
	return "of " + strings.Join(apps, ", ")
}

// sayEntry prints one entry of a watch.
func sayEntry(out io.Writer, e api.AuditEntry, known *names) error {
	for _, change := range changesOf(e, known) {
		if _, err := fmt.Fprintf(out, "%s %d %s %s\n", e.At.UTC().Format(time.RFC3339), e.Revision, safe(e.By), safe(change)); err != nil {
			return err
		}
	}
	return nil
}
