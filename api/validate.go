package api

import (
	"encoding/json"
	"fmt"
	"io"
	"net/url"
	"strings"
	"time"
)

// The external API's texts and their order are a contract: the first fault of
// the first faulty policy is told.

// policiesV0 is the body of v0, which knows single ports only.
type policiesV0 struct {
	TotalPolicies int        `json:"total_policies"`
	Policies      []policyV0 `json:"policies"`
}

type policyV0 struct {
	Source      Source        `json:"source"`
	Destination destinationV0 `json:"destination"`
}

type destinationV0 struct {
	ID       string `json:"id"`
	Tag      string `json:"tag,omitempty"`
	Protocol string `json:"protocol"`
	Port     int    `json:"port"`
}

// policiesRequest is the body that our own client sends.
type policiesRequest struct {
	Policies []PolicyBody `json:"policies"`
}

// decodePolicies reads and validates the body of create and delete. unreadable
// is the contract's text for a body that is too long or breaks off.
func decodePolicies(body io.Reader, version, unreadable string) ([]Policy, error) {
	raw, err := io.ReadAll(body)
	if err != nil {
		return nil, &Error{Kind: ErrInvalid, Text: unreadable, Detail: err.Error(), cause: err}
	}
	if elements(raw) > maxPolicies {
		return nil, invalidPolicies("more than %d policies in one request", maxPolicies)
	}
	if version == "v0" {
		return parsePoliciesV0(raw)
	}
	return parsePolicies(raw)
}

// parsePolicies parses and validates a v1 body.
func parsePolicies(raw []byte) ([]Policy, error) {
	var payload PoliciesPayload
	if err := json.Unmarshal(raw, &payload); err != nil {
		return nil, unmarshalError(err, upstreamNames)
	}
	return convertAll(payload.Policies, checkPorts)
}

// parsePoliciesV0 parses and validates a v0 body.
func parsePoliciesV0(raw []byte) ([]Policy, error) {
	var payload policiesV0
	if err := json.Unmarshal(raw, &payload); err != nil {
		return nil, unmarshalError(err, upstreamNamesV0)
	}
	bodies := make([]PolicyBody, len(payload.Policies))
	for i, p := range payload.Policies {
		d := p.Destination
		bodies[i] = PolicyBody{Source: p.Source, Destination: Destination{
			ID: d.ID, Tag: d.Tag, Protocol: d.Protocol, Ports: Ports{Start: d.Port, End: d.Port},
		}}
	}
	return convertAll(bodies, checkPort)
}

// Upstream's names of the decoded types where they differ from ours: JSON
// errors tell them.
var (
	upstreamNames   = strings.NewReplacer("api.PolicyBody", "api.Policy", "PolicyBody.", "Policy.")
	upstreamNamesV0 = strings.NewReplacer(
		"api.policiesV0", "api_v0.Policies", "policiesV0.", "Policies.",
		"api.policyV0", "api_v0.Policy", "policyV0.", "Policy.",
		"api.destinationV0", "api_v0.Destination", "destinationV0.", "Destination.",
		"api.Source", "api_v0.Source",
	)
)

// unmarshalError words a JSON error as upstream does.
func unmarshalError(err error, names *strings.Replacer) error {
	return Invalid("mapper: unmarshal json: %.*s", maxErrorText, names.Replace(err.Error()))
}

// convertAll validates the policies and converts them.
func convertAll(bodies []PolicyBody, ports func(Ports) error) ([]Policy, error) {
	if len(bodies) == 0 {
		return nil, invalidPolicies("missing policies")
	}
	policies := make([]Policy, len(bodies))
	for i, body := range bodies {
		if err := checkPolicy(body, ports); err != nil {
			return nil, err
		}
		policy, err := policyFromBody(body)
		if err != nil {
			return nil, fmt.Errorf("policy %d: %w", i, err)
		}
		policies[i] = policy
	}
	return policies, nil
}

func invalidPolicies(format string, args ...any) error {
	return Invalid("mapper: validate policies: "+format, args...)
}

// checkPolicy finds the first fault of one policy.
func checkPolicy(p PolicyBody, ports func(Ports) error) error {
	switch protocol := p.Destination.Protocol; {
	case p.Source.ID == "":
		return invalidPolicies("missing source id")
	case p.Destination.ID == "":
		return invalidPolicies("missing destination id")
	case protocol != "tcp" && protocol != "udp":
		return invalidPolicies("invalid destination protocol, specify either udp or tcp")
	}
	if err := ports(p.Destination.Ports); err != nil {
		return err
	}
	if p.Source.Tag != "" || p.Destination.Tag != "" {
		return invalidPolicies("tags may not be specified")
	}
	return nil
}

// checkPorts is v1's check of a range.
func checkPorts(p Ports) error {
	switch {
	case p.Start > p.End:
		return invalidPolicies("invalid port range %d-%d, start must be less than or equal to end", p.Start, p.End)
	case p.Start < 0:
		return invalidPolicies("invalid start port %d, must be in range 1-65535", p.Start)
	case p.Start == 0:
		return invalidPolicies("missing start port")
	case p.End > 65535:
		return invalidPolicies("invalid end port %d, must be in range 1-65535", p.End)
	}
	return nil
}

// checkPort is v0's check of a single port. Upstream lets v0 store ports above
// 65535, which no packet has; we refuse them with v0's own text.
func checkPort(p Ports) error {
	switch {
	case p.Start < 0 || p.Start > 65535:
		return invalidPolicies("invalid port %d, must be in range 1-65535", p.Start)
	case p.Start == 0:
		return invalidPolicies("missing port")
	}
	return nil
}

// maxWait bounds ?timeout=: a wait holds a connection.
const maxWait = 10 * time.Minute

// parseWait reads ?wait= and ?timeout=.
func parseWait(q url.Values) (Wait, error) {
	wait := Wait{For: WaitFor(q.Get("wait")), Timeout: DefaultWait}
	switch wait.For {
	case WaitNone, WaitApplied, WaitAppliedAll:
	default:
		return Wait{}, Invalid("wait: %q is not known: give applied or applied-all", q.Get("wait"))
	}
	if !q.Has("timeout") {
		return wait, nil
	}
	timeout, err := time.ParseDuration(q.Get("timeout"))
	switch {
	case err != nil:
		return Wait{}, Invalid("timeout: %q is not a duration: give one such as 500ms or 30s", q.Get("timeout"))
	case timeout <= 0 || timeout > maxWait:
		return Wait{}, Invalid("timeout: %q must be more than 0 and at most %v", q.Get("timeout"), maxWait)
	case wait.For == WaitNone:
		return Wait{}, Invalid("timeout: %q is given without wait: add wait=applied", q.Get("timeout"))
	}
	wait.Timeout = timeout
	return wait, nil
}
