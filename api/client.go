package api

import (
	"cmp"
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Client speaks the external and the native API. It is safe for concurrent use.
type Client struct{ requester }

// TokenSource returns the bearer token of the next request. It is called once
// for each.
type TokenSource func(ctx context.Context) (string, error)

// NewClient returns a client of the controller at baseURL (http://host:port)
// that authenticates with token; "" for none.
func NewClient(baseURL, token string) *Client {
	if token == "" {
		return NewClientWith(baseURL, nil, nil)
	}
	return NewClientWith(baseURL, func(context.Context) (string, error) { return token, nil }, nil)
}

// NewClientWith returns a client whose token may change, such as one of a UAA,
// or that shows a certificate. Without tokens it sends none; without config it
// trusts the machine's authorities.
func NewClientWith(baseURL string, tokens TokenSource, config *tls.Config) *Client {
	return &Client{requester{
		base:  normalizeURL(baseURL, "http://"),
		token: tokens,
		http: &http.Client{
			Transport: &http.Transport{
				DialContext:         (&net.Dialer{Timeout: 5 * time.Second}).DialContext,
				TLSHandshakeTimeout: 5 * time.Second,
				TLSClientConfig:     config,
				Proxy:               http.ProxyFromEnvironment,
			},
			CheckRedirect: noRedirect,
		},
	}}
}

// noRedirect follows none: the token is for the address that was given, and of
// a write that is sent elsewhere only a read might arrive.
func noRedirect(r *http.Request, _ []*http.Request) error {
	return Invalid("it redirects to %s://%s: if that is the controller, give that address", r.URL.Scheme, r.URL.Host)
}

// Wait says how long a write should wait for the switches. The zero value does
// not wait: the write returns when it is durable.
type Wait struct {
	For     WaitFor
	Timeout time.Duration // 0 for DefaultWait
}

// WaitFor is whose switches a write waits for.
type WaitFor string

// The values of ?wait=.
const (
	WaitNone       WaitFor = ""
	WaitApplied    WaitFor = "applied"     // every affected cell that is connected
	WaitAppliedAll WaitFor = "applied-all" // every affected cell
)

// Change is the answer to a write.
type Change struct {
	Revision Revision `json:"revision"`
	Pending  []string `json:"pending,omitempty"` // cells that had not confirmed at the timeout
}

// Policies lists the policies as the external API does.
func (c *Client) Policies(ctx context.Context, filter Filter) (PoliciesPayload, error) {
	var list PoliciesPayload
	err := c.get(ctx, externalV1+"/policies"+filter.query(), &list)
	return list, wrap("listing policies", err)
}

// HasPolicy reports whether there is this very policy.
func (c *Client) HasPolicy(ctx context.Context, policy PolicyBody) (bool, error) {
	var filter Filter
	if id := policy.Source.ID; !strings.Contains(id, ",") { // which would be two
		filter.Source = []string{id}
	}
	list, err := c.Policies(ctx, filter)
	return slices.Contains(list.Policies, policy), err
}

// AddPolicies adds all of them or none. One that exists already changes nothing.
func (c *Client) AddPolicies(ctx context.Context, policies []PolicyBody, wait Wait) (Change, error) {
	change, err := c.write(ctx, externalV1+"/policies", policies, wait)
	return change, wrap("adding policies", err)
}

// RemovePolicies is the inverse. One that does not exist is not an error.
func (c *Client) RemovePolicies(ctx context.Context, policies []PolicyBody, wait Wait) (Change, error) {
	change, err := c.write(ctx, externalV1+"/policies/delete", policies, wait)
	return change, wrap("removing policies", err)
}

// WhoAmI returns the name by which the controller knows the caller. Forbidden
// if it is known, but no administrator.
func (c *Client) WhoAmI(ctx context.Context) (string, error) {
	var who struct {
		Subject string `json:"subject"`
	}
	err := c.get(ctx, externalV1+"/whoami", &who)
	return who.Subject, wrap("asking who I am", err)
}

// Tags lists the identities that policies name, as the external API does.
func (c *Client) Tags(ctx context.Context) ([]Tag, error) {
	var list TagsPayload
	err := c.get(ctx, externalV1+"/tags", &list)
	return list.Tags, wrap("listing tags", err)
}

// Cells lists the cells that hold a lease, held one that has expired, or were
// drained.
func (c *Client) Cells(ctx context.Context) ([]Cell, error) {
	var list CellsList
	err := c.get(ctx, Version+"/cells", &list)
	return list.Cells, wrap("listing cells", err)
}

// Endpoints lists the containers that agents have reported, those of cells that
// are away included.
func (c *Client) Endpoints(ctx context.Context) ([]Endpoint, error) {
	var list EndpointsList
	err := c.get(ctx, Version+"/endpoints", &list)
	return list.Endpoints, wrap("listing endpoints", err)
}

// Groups lists the group ids in use or in quarantine.
func (c *Client) Groups(ctx context.Context) ([]Group, error) {
	var list GroupsList
	err := c.get(ctx, Version+"/groups", &list)
	return list.Groups, wrap("listing groups", err)
}

// Explain resolves the cookie of a dumped flow, as ovs-ofctl prints it.
// NotFound if nothing has it.
func (c *Client) Explain(ctx context.Context, cookie string) (Explanation, error) {
	var e Explanation
	err := c.get(ctx, Version+"/cookies/"+url.PathEscape(cookie), &e)
	return e, wrap("explaining cookie "+cookie, err)
}

// Logging returns whose accepted connections are logged.
func (c *Client) Logging(ctx context.Context) (Logging, error) {
	var logging Logging
	err := c.get(ctx, Version+"/logging", &logging)
	return logging, wrap("reading the logging switch", err)
}

// SetLogging replaces it, and returns it as it is now.
func (c *Client) SetLogging(ctx context.Context, logging Logging) (Logging, error) {
	ctx, cancel := context.WithTimeout(ctx, ioTimeout)
	defer cancel()
	logging.Apps = notNil(logging.Apps)
	var now Logging
	_, err := c.do(ctx, http.MethodPut, Version+"/logging", logging, &now)
	return now, wrap("setting the logging switch", err)
}

// get fetches a list or an object.
func (c *Client) get(ctx context.Context, path string, answer any) error {
	ctx, cancel := context.WithTimeout(ctx, ioTimeout)
	defer cancel()
	_, err := c.do(ctx, http.MethodGet, path, nil, answer)
	return err
}

func (c *Client) write(ctx context.Context, path string, policies []PolicyBody, wait Wait) (Change, error) {
	ctx, cancel := context.WithTimeout(ctx, wait.patience())
	defer cancel()
	var change Change
	header, err := c.do(ctx, http.MethodPost, path+wait.query(), policiesRequest{policies}, &change)
	if err != nil {
		return Change{}, err
	}
	if change.Revision == 0 {
		change.Revision = revisionOf(header)
	}
	return change, nil
}

// patience is how long a write may take with the wait.
func (w Wait) patience() time.Duration {
	if w.For == WaitNone {
		return ioTimeout
	}
	return ioTimeout + cmp.Or(w.Timeout, DefaultWait)
}

// query returns the query string of the wait, "" for none.
func (w Wait) query() string {
	if w.For == WaitNone {
		return ""
	}
	q := url.Values{"wait": {string(w.For)}}
	if w.Timeout != 0 {
		q.Set("timeout", w.Timeout.String())
	}
	return "?" + q.Encode()
}

// revisionOf reads the revision of a write's answer, 0 if it has none.
func revisionOf(h http.Header) Revision {
	n, _ := strconv.ParseUint(h.Get(revisionHeader), 10, 64)
	return Revision(n)
}
