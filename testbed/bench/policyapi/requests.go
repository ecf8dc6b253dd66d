package policyapi

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"

	"github.com/weft-sdn/weft/api"
)

// answer is what a request's answer was like: lists are counted, not kept.
type answer struct {
	size     int // bytes
	policies int // that the answer lists
}

// want passes an error on, or makes one if the answer lists another number.
func (a answer) want(n int, err error) error {
	if err == nil && a.policies != n {
		return fmt.Errorf("the answer lists %d policies, want %d", a.policies, n)
	}
	return err
}

// call makes one request of the external API and reads its answer to the end.
func (c *controller) call(ctx context.Context, method, path string, body []byte) (answer, error) {
	request, err := http.NewRequestWithContext(ctx, method, c.url+path, bytes.NewReader(body))
	if err != nil {
		return answer{}, err
	}
	request.Header.Set("Authorization", "Bearer "+c.token)
	response, err := c.client.Do(request)
	if err != nil {
		return answer{}, err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		text, _ := io.ReadAll(io.LimitReader(response.Body, 1<<10)) // for the error only
		return answer{}, fmt.Errorf("%s %.80s: %s: %s", method, path, response.Status, text)
	}
	var count counter
	if _, err := io.CopyBuffer(&count, response.Body, make([]byte, 256<<10)); err != nil {
		return answer{}, fmt.Errorf("%s %.80s: %w", method, path, err)
	}
	return count.answer, nil
}

// counter counts policies by the key that each has once. Parsing them would
// take the CPU from the controller, which is what is measured.
type counter struct {
	answer
	tail []byte // of what was written before: the key may be cut in two
}

var policyMark = []byte(`"source":`)

func (c *counter) Write(p []byte) (int, error) {
	c.size += len(p)
	joint := append(c.tail, p[:min(len(p), len(policyMark)-1)]...)
	c.policies += bytes.Count(joint, policyMark) + bytes.Count(p, policyMark)
	end := p
	if len(p) < len(policyMark) {
		end = joint
	}
	c.tail = bytes.Clone(end[max(0, len(end)-len(policyMark)+1):])
	return len(p), nil
}

// bodyOf is the body with n policies, from the one with this number on.
func bodyOf(first, n int) []byte {
	payload := api.PoliciesPayload{Policies: make([]api.PolicyBody, n)}
	for i := range payload.Policies {
		payload.Policies[i] = policy(first + i)
	}
	body, err := json.Marshal(payload)
	if err != nil {
		panic(err) // of strings and numbers
	}
	return body
}

// policy returns one of the policies by its number. Each app has the same
// number of them as source and, from policies on, others on ports of their own.
func policy(number int) api.PolicyBody {
	source, nth := number/perApp%apps, number%perApp
	port := 8080 + number/policies
	return api.PolicyBody{
		Source: api.Source{ID: appID(source)},
		Destination: api.Destination{
			ID: appID((source + 1 + 997*nth) % apps), Protocol: "tcp", Ports: api.Ports{Start: port, End: port + nth},
		},
	}
}

// appID returns an app's id, a GUID as Cloud Foundry's are.
func appID(number int) string {
	scattered := uint64(number+1) * 0x9e3779b97f4a7c15 // odd: each number has its own
	return fmt.Sprintf("%08x-%04x-4%03x-a%03x-%012x", scattered>>32, scattered>>16&0xffff, number>>12&0xfff, number&0xfff, scattered&0xffffffffffff)
}
