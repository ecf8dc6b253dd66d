package hostnet

import (
	"context"
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
)

// ruleset is what nft lists as JSON (libnftables-json(5)), as far as it is of
// interest here.
type ruleset struct {
	Objects []struct {
		Chain *otherChain `json:"chain"`
		Rule  *otherRule  `json:"rule"`
	} `json:"nftables"`
}

type otherChain struct {
	Family, Table, Name, Hook, Policy string
}

type otherRule struct {
	Chain string
	Expr  []map[string]json.RawMessage
}

// Closed names the forward chains of others that end in a drop or reject, be it
// as their policy, and whose tables do not mention the bridge. A packet passes
// only if every chain of the hook accepts it, so containers reach nothing
// outside, and no mapped port is reached, unless a rule there that does not
// look at the bridge lets them. Rules of iptables-legacy are not seen.
func Closed(ctx context.Context, bridge string) ([]string, error) {
	chains, _, err := listJSON(ctx, "chains")
	if err != nil {
		return nil, err
	}
	var closed []string
	for _, object := range chains.Objects {
		c := object.Chain
		if c == nil || c.Hook != "forward" || c.Table == name || (c.Family != "ip" && c.Family != familyInet) {
			continue
		}
		table, text, err := listJSON(ctx, "table", c.Family, c.Table)
		if err != nil {
			if strings.Contains(err.Error(), absent) {
				continue // somebody has just removed it
			}
			return nil, err
		}
		if (c.Policy == "drop" || table.refuses(c.Name)) && !mentions(text, bridge) {
			closed = append(closed, fmt.Sprintf("chain %s of table %s %s", c.Name, c.Family, c.Table))
		}
	}
	return closed, nil
}

// listJSON is not for scripts: nft expects those to be JSON, too.
func listJSON(ctx context.Context, what ...string) (ruleset, string, error) {
	var r ruleset
	text, err := runNft(ctx, "", append([]string{"-j", "list"}, what...)...)
	if err != nil {
		return r, "", err
	}
	if err := json.Unmarshal([]byte(text), &r); err != nil {
		return r, "", fmt.Errorf("nft -j list %s: %w", strings.Join(what, " "), err)
	}
	return r, text, nil
}

// refuses reports whether the chain's last rule drops or rejects whatever has
// come so far.
func (r ruleset) refuses(chain string) bool {
	last := false
	for _, object := range r.Objects {
		if object.Rule != nil && object.Rule.Chain == chain {
			last = object.Rule.refusesAll()
		}
	}
	return last
}

// refusesAll reports whether the rule drops or rejects without a condition.
func (r otherRule) refusesAll() bool {
	refuses := false
	for _, expression := range r.Expr {
		for kind := range expression {
			switch kind {
			case "counter", "log":
			case "drop", "reject":
				refuses = true
			default:
				return false
			}
		}
	}
	return refuses
}

// quoted are the strings of a JSON document, without escapes: names of devices
// have none.
var quoted = regexp.MustCompile(`"([^"\\]*)"`)

// mentions reports whether a table has a rule or set with the device's name, or
// with a beginning of it and a star.
func mentions(text, device string) bool {
	for _, m := range quoted.FindAllStringSubmatch(text, -1) {
		beginning, star := strings.CutSuffix(m[1], "*")
		if m[1] == device || (star && beginning != "" && strings.HasPrefix(device, beginning)) {
			return true
		}
	}
	return false
}
