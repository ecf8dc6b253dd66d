package api

import (
	"bufio"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// watchSilence is how long a watch may be silent before the controller is
// taken for dead: three of its comments.
const watchSilence = 3 * 15 * time.Second

// maxEventBytes bounds one line of a watch: an event of 10 MiB of policies, as
// one request may add them.
const maxEventBytes = 64 << 20

// DetailFilter selects policies by their apps and by what describes them. The
// zero value selects all; what is given must all hold.
type DetailFilter struct {
	Filter
	Set    string            // "" for any and none
	Labels map[string]string // each must be there with this value
}

// query returns the query of one page.
func (f DetailFilter) query(after string) string {
	q, _ := url.ParseQuery(strings.TrimPrefix(f.Filter.query(), "?")) // it has just been encoded
	if f.Set != "" {
		q.Set("set", f.Set)
	}
	for key, value := range f.Labels {
		q.Add("label", key+"="+value)
	}
	if after != "" {
		q.Set("after", after)
	}
	return question(q)
}

// question is the query string with its question mark, "" for none.
func question(q url.Values) string {
	if len(q) == 0 {
		return ""
	}
	return "?" + q.Encode()
}

// PolicyDetails lists the policies in the order of their ids with all that is
// known of them, page by page, and the revision that last changed any of them
// when the first page was made.
func (c *Client) PolicyDetails(ctx context.Context, filter DetailFilter) ([]PolicyDetail, Revision, error) {
	var all []PolicyDetail
	var revision uint64
	for after := ""; ; {
		var page PolicyDetailsList
		if err := c.get(ctx, Version+"/policies"+filter.query(after), &page); err != nil {
			return nil, 0, wrap("listing policies", err)
		}
		all = append(all, page.Policies...)
		revision = cmp.Or(revision, page.Revision)
		if page.Next == "" || page.Next == after {
			return all, Revision(revision), nil
		}
		after = page.Next
	}
}

// Sets lists the policy sets by name.
func (c *Client) Sets(ctx context.Context) ([]SetInfo, error) {
	var list SetsList
	err := c.get(ctx, Version+"/sets", &list)
	return list.Sets, wrap("listing policy sets", err)
}

// SetOptions are the conditions of ApplySet.
type SetOptions struct {
	Prune  bool // remove what the set has and the request has not
	DryRun bool // write nothing, only tell the difference
	Wait   Wait
	// IfRevision, unless 0, is the revision that the caller has seen; Outdated
	// if policies have changed since.
	IfRevision Revision
}

// ApplySet makes the policies of the set those of the request, all of them or
// none, and returns what that changed.
func (c *Client) ApplySet(ctx context.Context, name string, set PolicySet, options SetOptions) (PolicySetChange, error) {
	q, doing := url.Values{}, "comparing"
	if !options.DryRun {
		doing = "applying"
		q, _ = url.ParseQuery(strings.TrimPrefix(options.Wait.query(), "?")) // it has just been encoded
	}
	if options.Prune {
		q.Set("prune", "true")
	}
	if options.DryRun {
		q.Set("dry_run", "true")
	}
	header := http.Header{}
	if options.IfRevision != 0 {
		header.Set("If-Match", strconv.Quote(strconv.FormatUint(uint64(options.IfRevision), 10)))
	}
	ctx, cancel := context.WithTimeout(ctx, options.Wait.patience())
	defer cancel()
	set.Policies = notNil(set.Policies)
	var change PolicySetChange
	_, err := c.doWith(ctx, http.MethodPut, Version+"/sets/"+url.PathEscape(name)+question(q), header, set, &change)
	return change, wrap(doing+" set "+strconv.Quote(name), err)
}

// Reachers tells which apps may connect to the app.
func (c *Client) Reachers(ctx context.Context, app string) (ReachersList, error) {
	var list ReachersList
	err := c.get(ctx, Version+"/apps/"+url.PathEscape(app)+"/reachers", &list)
	return list, wrap("asking who can reach "+strconv.Quote(app), err)
}

// Audit returns one page of the audit log, newest first. AuditList.Next is the
// Before of the next page.
func (c *Client) Audit(ctx context.Context, query AuditQuery) (AuditList, error) {
	q := url.Values{}
	if query.App != "" {
		q.Set("app", query.App)
	}
	if query.By != "" {
		q.Set("by", query.By)
	}
	if query.Before != 0 {
		q.Set("before", strconv.FormatUint(uint64(query.Before), 10))
	}
	if query.Limit != 0 {
		q.Set("limit", strconv.Itoa(query.Limit))
	}
	var list AuditList
	err := c.get(ctx, Version+"/audit"+question(q), &list)
	return list, wrap("reading the audit log", err)
}

// Watch calls see for each change from now on, in order, until ctx ends, see
// returns an error or the stream breaks; it returns that error. A stream that
// says nothing for a while, comments included, is broken: Unavailable.
func (c *Client) Watch(ctx context.Context, see func(AuditEntry) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	silence := time.AfterFunc(watchSilence, func() { cancel(Unavailable("the controller has said nothing for %v", watchSilence)) })
	defer silence.Stop()
	resp, err := c.send(ctx, http.MethodGet, Version+"/watch", http.Header{"Accept": {"text/event-stream"}}, nil)
	if err != nil {
		return wrap("watching", orCause(ctx, err))
	}
	defer resp.Body.Close()
	err = readEvents(resp.Body, func(event string, data []byte) error {
		silence.Reset(watchSilence)
		switch event {
		case "cut":
			var problem Problem
			_ = json.Unmarshal(data, &problem) // what it says is for people
			return Gone("%s", cmp.Or(problem.Detail, "the controller no longer has the changes since"))
		case "change":
		default:
			return nil
		}
		var entry AuditEntry
		if err := json.Unmarshal(data, &entry); err != nil {
			return fmt.Errorf("an event is not the JSON expected: %w", err)
		}
		return see(entry)
	})
	return wrap("watching", orCause(ctx, err))
}

// orCause is why the context ended, if it did, else err.
func orCause(ctx context.Context, err error) error {
	if cause := context.Cause(ctx); cause != nil {
		return cause
	}
	return err
}

// readEvents reads server-sent events, and calls see for each with its type
// and data, and with neither for each comment. The end is Unavailable: a watch has none.
func readEvents(r io.Reader, see func(event string, data []byte) error) error {
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, maxEventBytes)
	var event string
	var data []byte
	for lines.Scan() {
		field, value, _ := strings.Cut(lines.Text(), ":")
		value = strings.TrimPrefix(value, " ")
		switch field {
		case "event":
			event = value
			continue
		case "data":
			if data != nil {
				data = append(data, '\n')
			}
			data = append(data, value...)
			continue
		case "":
		default: // id and retry, which we do not use
			continue
		}
		isComment := lines.Text() != ""
		if isComment {
			if err := see("", nil); err != nil {
				return err
			}
			continue
		}
		if data != nil {
			if err := see(event, data); err != nil {
				return err
			}
		}
		event, data = "", nil
	}
	if err := lines.Err(); err != nil && !errors.Is(err, bufio.ErrTooLong) {
		return Unavailable("the stream broke: %w", err)
	} else if err != nil {
		return fmt.Errorf("an event is longer than %d bytes", maxEventBytes)
	}
	return Unavailable("the controller closed the stream")
}
