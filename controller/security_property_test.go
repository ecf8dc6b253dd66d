package controller

import (
	"fmt"
	"slices"

	"pgregory.net/rapid"

	"github.com/weft-sdn/weft/api"
	"github.com/weft-sdn/weft/flows"
)

// someSecurityRules are rules of security groups, equal ones among them, some
// of which make no sense.
var someSecurityRules = []string{
	`[]`, `[{"protocol":"all","destination":"198.51.100.7"}]`, `[{"protocol":"all","destination":"198.51.100.7-198.51.100.7"}]`,
	`[{"protocol":"tcp","destination":"10.0.0.0/24","ports":"443"},{"protocol":"all","destination":"198.51.100.7"}]`,
	`[{"protocol":"icmp","destination":"0.0.0.0/0","type":8,"code":-1},{"protocol":"tcp","destination":"10.0.0.1"}]`, `nonsense`,
}

// drawSecurity changes one of three groups, or says that they have been read.
func drawSecurity(t *rapid.T, revision api.Revision) Event {
	guid := fmt.Sprintf("group-%d", rapid.IntRange(1, 3).Draw(t, "group"))
	switch rapid.IntRange(0, 7).Draw(t, "security") {
	case 0:
		return SecurityGroupsRead{}
	case 1, 2:
		return Change{Revision: revision, Events: []Event{SecurityGroupRemoved{guid}}}
	}
	spaces := func(name string) []string {
		return rapid.SampledFrom([][]string{nil, {"zoo"}, {"zoo", "farm"}, {"farm", "farm"}, {""}}).Draw(t, name)
	}
	return Change{Revision: revision, Events: []Event{SecurityGroupSet{api.SecurityGroup{
		GUID: guid, Rules: rapid.SampledFrom(someSecurityRules).Draw(t, "rules"),
		RunningDefault: rapid.IntRange(0, 3).Draw(t, "running default") == 0, RunningSpaces: spaces("running"),
		StagingDefault: rapid.IntRange(0, 3).Draw(t, "staging default") == 0, StagingSpaces: spaces("staging"),
	}}}}
}

// checkSecurity compares each endpoint's egress rules with what the groups say
// when read one by one, and returns how many have theirs from them.
func checkSecurity(rt *rapid.T, s *State) (grouped int) {
	counted := 0
	for id, c := range s.cells {
		for _, ep := range c.endpoints {
			want := ep.own
			if ep.space != "" && s.security.known {
				want, grouped = expectedRules(s, ep), grouped+1
			}
			if ep.Egress != want {
				rt.Fatalf("cell %s: container %s of %q (%s) may open %q, expected %q", id, ep.Container, ep.space, ep.workload, ep.Egress, want)
			}
			if ep.space != "" {
				counted++
			}
		}
	}
	for a, of := range s.security.audiences {
		if len(of.cells) == 0 {
			rt.Fatalf("the rules of %v are kept, and nobody has them", a)
		}
		for _, n := range of.cells {
			counted -= n
		}
	}
	if counted != 0 || len(s.security.stale) != 0 {
		rt.Fatalf("endpoints with a space are miscounted by %d, or %v was not compiled", counted, s.security.stale)
	}
	return grouped
}

func expectedRules(s *State, ep endpoint) flows.EgressRules {
	var rules []flows.EgressRule
	for _, g := range s.security.groups {
		all, spaces := g.RunningDefault, g.RunningSpaces
		switch ep.workload {
		case "staging":
			all, spaces = g.StagingDefault, g.StagingSpaces
		case "odd":
			continue
		}
		if all || slices.Contains(spaces, ep.space) {
			some, _ := parseSecurityRules(g.Rules)
			rules = append(rules, some...)
		}
	}
	set, err := flows.NewEgressRules(rules)
	if err != nil {
		panic(err) // they are a handful of valid ones
	}
	return set
}
