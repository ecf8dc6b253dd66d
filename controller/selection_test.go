package controller

import (
	"fmt"
	"reflect"
	"testing"

	"github.com/weft-sdn/weft/api"
	"github.com/weft-sdn/weft/flows"
)

// TestSelectIsTheFilter: what the index answers is what the filter leaves of
// the whole list, also for apps that are named twice, unknown or with themselves.
func TestSelectIsTheFilter(t *testing.T) {
	s := NewState(Overlay{})
	apps := []flows.AppID{"a", "b", "c", "d"}
	for i, app := range apps {
		s.Step(GroupAssigned{App: app, Group: flows.GroupID(i + 1)})
	}
	id := flows.PolicyID(0)
	for i, from := range apps {
		for j, to := range apps[:3] {
			if (i+j)%3 == 2 {
				continue
			}
			id++
			s.Step(PolicyAdded{From: from, To: to, Rule: flows.Rule{
				Policy: id, From: flows.GroupID(i + 1), To: flows.GroupID(j + 1), Protocol: flows.TCP, Ports: flows.PortRange{First: 1, Last: 2},
			}})
		}
	}
	s.Step(PolicyRemoved{ID: 2})
	lists := [][]string{nil, {}, {"a"}, {"d"}, {"b", "a", "b", "nobody"}, {"a", "b", "c", "d"}, {""}}
	for _, id := range lists {
		for _, source := range lists {
			for _, dest := range lists {
				f := api.Filter{ID: id, Source: source, Dest: dest}
				got, want := s.Select(f), f.Apply(s.Policies())
				if len(got) != len(want) || len(got) > 0 && !reflect.DeepEqual(got, want) {
					t.Errorf("%+v: got %s, want %s", f, fmt.Sprint(got), fmt.Sprint(want))
				}
			}
		}
	}
}
