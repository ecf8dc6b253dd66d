package api

import (
	"bytes"
	"cmp"
	"context"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"unicode"
)

// requester makes JSON requests and turns failures back into kinds.
type requester struct {
	base  string
	token TokenSource // nil for none
	http  *http.Client
}

// do sends body as JSON, unless it is nil, and decodes the answer, unless it
// is nil. It returns the answer's header.
func (r *requester) do(ctx context.Context, method, path string, body, answer any) (http.Header, error) {
	return r.doWith(ctx, method, path, nil, body, answer)
}

// doWith does the same with more headers.
func (r *requester) doWith(ctx context.Context, method, path string, header http.Header, body, answer any) (http.Header, error) {
	resp, err := r.send(ctx, method, path, header, body)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	if answer == nil {
		_, err := io.Copy(io.Discard, io.LimitReader(resp.Body, maxBodyBytes))
		return resp.Header, err
	}
	if err := json.NewDecoder(resp.Body).Decode(answer); err != nil {
		return nil, fmt.Errorf("%s answered %s with something that is not the JSON expected: %w", r.base, path, err)
	}
	return resp.Header, nil
}

// send makes one request, and returns its answer if that is no failure. The
// caller closes the body.
func (r *requester) send(ctx context.Context, method, path string, header http.Header, body any) (*http.Response, error) {
	var content io.Reader
	if body != nil {
		b, err := json.Marshal(body)
		if err != nil {
			return nil, fmt.Errorf("encoding the request: %w", err)
		}
		content = bytes.NewReader(b)
	}
	req, err := http.NewRequestWithContext(ctx, method, r.base+path, content)
	if err != nil {
		return nil, Invalid("address %q: %w", r.base, err)
	}
	for name, values := range header {
		req.Header[name] = values
	}
	if body != nil {
		req.Header.Set("Content-Type", jsonType)
	}
	if r.token != nil {
		token, err := r.token(ctx)
		if err != nil {
			return nil, err
		}
		req.Header.Set("Authorization", "Bearer "+token)
	}
	resp, err := r.http.Do(req)
	if err != nil {
		return nil, unreachable(r.base, err)
	}
	if resp.StatusCode >= 300 {
		defer resp.Body.Close()
		return nil, readError(resp)
	}
	return resp, nil
}

// readError turns an answer back into the error that the server had.
func readError(resp *http.Response) error {
	text, _ := io.ReadAll(io.LimitReader(resp.Body, 64<<10))
	e := &Error{
		Kind:   Kind(resp.Header.Get(kindHeader)),
		Text:   strings.TrimSpace(string(text)),
		Detail: resp.Header.Get(detailHeader),
	}
	var body struct {
		Error  string `json:"error"`
		Detail string `json:"detail"` // of a Problem
		Kind   Kind   `json:"kind"`
	}
	if json.Unmarshal(text, &body) == nil {
		e.Text = cmp.Or(body.Error, body.Detail, e.Text)
		e.Kind = cmp.Or(e.Kind, body.Kind)
	}
	if e.Text == "" {
		e.Text = resp.Status
	}
	e.Text = strings.Map(func(r rune) rune { // it may end on a terminal
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, e.Text)
	if e.Kind == "" {
		e.Kind = kindOfStatus(resp.StatusCode)
	}
	return e
}

// unreachable makes a transport's failure an Unavailable, unless the caller gave up.
func unreachable(base string, err error) error {
	if errors.Is(err, context.Canceled) {
		return err
	}
	var urlErr *url.Error
	if errors.As(err, &urlErr) {
		err = urlErr.Err // without the URL, which is named once
	}
	if errors.Is(err, ErrInvalid) { // of noRedirect
		return fmt.Errorf("%s: %w", base, err)
	}
	if advice := adviceOn(err); advice != "" {
		return Unavailable("no answer from %s: %w; %s", base, err, advice)
	}
	return Unavailable("no answer from %s: %w", base, err)
}

// adviceOn says what is wrong with an address at which somebody else answers
// than one thinks, "" for any other failure.
func adviceOn(err error) string {
	switch {
	case errors.As(err, new(x509.HostnameError)):
		return "reach the controller by a name that its certificate has, or give it one with this name (weft-controller init --controller-names; docs/install.md, section 1)"
	case errors.Is(err, http.ErrSchemeMismatch):
		return "plain HTTP is spoken there: cells need the controller's internal listener (internal_listen, port 4003 by default), and weft an address with http://"
	}
	return ""
}

// wrap says what was being done; nil stays nil.
func wrap(doing string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w", doing, err)
}

// normalizeURL completes an address that lacks its scheme.
func normalizeURL(address, scheme string) string {
	if !strings.Contains(address, "://") {
		address = scheme + address
	}
	return strings.TrimRight(address, "/")
}
