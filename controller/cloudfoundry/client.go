package cloudfoundry

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"
)

const (
	// answerTimeout bounds one request, its answer included.
	answerTimeout = 10 * time.Second
	// maxAnswer bounds the body of an answer. A page of 5,000 security groups of
	// some rules each has 10 MB.
	maxAnswer = 64 << 20
	// maxConnections bounds the connections to each of the two programs: when it
	// is slow, requests of ours wait, and do not open more of them.
	maxConnections = 64
)

// errStatus is an answer whose status is not 200.
type errStatus int

func (e errStatus) Error() string { return fmt.Sprintf("status %d", int(e)) }

// client asks one of the two programs for JSON.
type client struct {
	base string // URL without a final slash
	http *http.Client
}

// newClient believes only servers that a CA in caFile has signed, or one of the
// system's if caFile is "".
func newClient(base, caFile string) (client, error) {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.MaxConnsPerHost, transport.MaxIdleConnsPerHost = maxConnections, maxConnections/4
	transport.TLSClientConfig = &tls.Config{MinVersion: tls.VersionTLS12}
	if caFile != "" {
		pem, err := os.ReadFile(caFile)
		if err != nil {
			return client{}, fmt.Errorf("reading the CA: %w", err)
		}
		pool := x509.NewCertPool()
		if !pool.AppendCertsFromPEM(pem) {
			return client{}, fmt.Errorf("reading the CA: %s holds no PEM certificate", caFile)
		}
		transport.TLSClientConfig.RootCAs = pool
	}
	return client{base: strings.TrimRight(base, "/"), http: &http.Client{
		Transport: transport,
		Timeout:   answerTimeout,
		// Elsewhere is not where the operator wanted secrets to go.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}, nil
}

// get asks for a path below the base.
func (c client) get(ctx context.Context, path string, query url.Values, authorization string, into any) error {
	address := c.base + path
	if len(query) > 0 {
		address += "?" + query.Encode()
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	if authorization != "" {
		r.Header.Set("Authorization", authorization)
	}
	return c.do(r, path, into)
}

// do makes the request and decodes its answer, whose other fields are ignored.
// The error names the path but no query, header or body, where secrets may be.
func (c client) do(r *http.Request, path string, into any) error {
	r.Header.Set("Accept", "application/json")
	res, err := c.http.Do(r)
	if err != nil {
		var whole *url.Error // with the whole query
		if errors.As(err, &whole) {
			err = whole.Err
		}
		return fmt.Errorf("%s: %w", path, err)
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		_, _ = io.CopyN(io.Discard, res.Body, 64<<10) // so that the connection can be used again
		return fmt.Errorf("%s: %w", path, errStatus(res.StatusCode))
	}
	body := &io.LimitedReader{R: res.Body, N: maxAnswer}
	if err := json.NewDecoder(body).Decode(into); err != nil {
		if body.N <= 0 {
			return fmt.Errorf("%s: the answer is larger than %d bytes", path, maxAnswer)
		}
		var syntax *json.SyntaxError
		var wrong *json.UnmarshalTypeError
		if errors.As(err, &syntax) || errors.As(err, &wrong) {
			return fmt.Errorf("%s: the answer is not the JSON that was asked for", path)
		}
		return fmt.Errorf("%s: reading the answer: %w", path, err)
	}
	return nil
}
