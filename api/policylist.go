package api

import (
	"fmt"
	"net/http"
	"slices"
	"strconv"

	"github.com/labstack/echo/v4"
)

// Lists of policies are long, and every tool asks for all of them. So they are
// written piece by piece, without a second copy in memory, and without
// reflection, which would take most of the time. A test holds that the result
// is what encoding/json makes of the types in policies.go and validate.go.

// listChunk is how many bytes of a list are written at once, or a little more.
const listChunk = 64 << 10

// writePolicies answers with a list of policies. v0 cannot say ranges, and
// leaves them out.
func writePolicies(c echo.Context, version string, policies []Policy) error {
	render, count := appendPolicy, len(policies)
	if version == "v0" {
		policies = slices.DeleteFunc(slices.Clone(policies), func(p Policy) bool { return p.Ports.First != p.Ports.Last })
		render, count = appendPolicyV0, len(policies)
	}
	w := c.Response()
	w.Header().Set(echo.HeaderContentType, jsonType)
	w.WriteHeader(http.StatusOK)
	b := fmt.Appendf(make([]byte, 0, listChunk+4096), `{"total_policies":%d,"policies":`, count)
	separator := byte('[')
	for _, p := range policies {
		b = append(b, separator)
		b, separator = render(b, p), ','
		if len(b) >= listChunk {
			if _, err := w.Write(b); err != nil {
				return fmt.Errorf("writing the list: %w", err) // the caller is gone
			}
			b = b[:0]
		}
	}
	if count == 0 {
		b = append(b, '[')
	}
	if _, err := w.Write(append(b, "]}"...)); err != nil {
		return fmt.Errorf("writing the list: %w", err)
	}
	return nil
}

// appendPolicy appends a policy as PolicyBody has it.
func appendPolicy(b []byte, p Policy) []byte {
	b = appendApps(b, p)
	b = append(b, `"ports":{"start":`...)
	b = strconv.AppendUint(b, uint64(p.Ports.First), 10)
	b = append(b, `,"end":`...)
	b = strconv.AppendUint(b, uint64(p.Ports.Last), 10)
	return append(b, "}}}"...)
}

// appendPolicyV0 appends a policy of one port as policyV0 has it.
func appendPolicyV0(b []byte, p Policy) []byte {
	b = appendApps(b, p)
	b = append(b, `"port":`...)
	b = strconv.AppendUint(b, uint64(p.Ports.First), 10)
	return append(b, "}}"...)
}

// appendApps appends what both versions have in common: all up to the ports.
func appendApps(b []byte, p Policy) []byte {
	b = append(b, `{"source":{"id":`...)
	b = appendText(b, string(p.From))
	b = append(b, `},"destination":{"id":`...)
	b = appendText(b, string(p.To))
	b = append(b, `,"protocol":`...)
	b = appendText(b, p.Protocol.String())
	return append(b, ',')
}

// appendText appends a JSON string.
func appendText(b []byte, text string) []byte {
	for i := range len(text) {
		if c := text[i]; c < ' ' || c > '~' || c == '"' || c == '\\' {
			return append(b, encode(text)...)
		}
	}
	b = append(b, '"')
	b = append(b, text...)
	return append(b, '"')
}

// loggedPolicies renders policies for the log, when a line is written.
type loggedPolicies []Policy

// MarshalJSON returns them as in a list.
func (l loggedPolicies) MarshalJSON() ([]byte, error) {
	b := []byte{'['}
	for i, p := range l {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendPolicy(b, p)
	}
	return append(b, ']'), nil
}
