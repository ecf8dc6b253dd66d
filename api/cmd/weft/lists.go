package main

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/weft-sdn/weft/api"
	"github.com/weft-sdn/weft/flows"
)

// listing is one command that shows one list.
type listing[T any] struct {
	headers []string
	fetch   func(context.Context, *api.Client) ([]T, error)
	row     func(T) []string
	wrap    func([]T) any    // the JSON document, that of the API
	none    string           // what to say of an empty list
	app     func(*T) *string // the field of an item that names an app; nil for none
}

// run prints the list.
func (l listing[T]) run(c *cli) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, _ []string) error {
		client, err := c.client()
		if err != nil {
			return err
		}
		items, err := l.fetch(cmd.Context(), client)
		if err != nil {
			return err
		}
		return c.print(cmd.OutOrStdout(), l.wrap(items), func() error {
			if len(items) == 0 {
				_, err := fmt.Fprintln(cmd.OutOrStdout(), l.none)
				return err
			}
			if err := l.nameApps(cmd.Context(), c, items); err != nil {
				return err
			}
			rows := make([][]string, len(items))
			for i, item := range items {
				rows[i] = l.row(item)
			}
			return printTable(cmd.OutOrStdout(), l.headers, rows)
		})
	}
}

// nameApps replaces the ids of apps by what people call them, as far as that is
// to be had.
func (l listing[T]) nameApps(ctx context.Context, c *cli, items []T) error {
	if l.app == nil {
		return nil
	}
	known, err := c.names()
	if err != nil {
		return err
	}
	var apps []string
	for i := range items {
		apps = append(apps, *l.app(&items[i]))
	}
	_ = known.learn(ctx, apps) // GUIDs do
	for i := range items {
		app := l.app(&items[i])
		*app = known.name(*app)
	}
	return nil
}

// newEndpoints returns weft endpoints.
func newEndpoints(c *cli) *cobra.Command {
	l := listing[api.Endpoint]{
		headers: []string{"CELL", "CONTAINER", "APP", "GROUP", "IP", "OFPORT", "LOG", "EGRESS"},
		fetch: func(ctx context.Context, client *api.Client) ([]api.Endpoint, error) {
			return client.Endpoints(ctx)
		},
		row: func(e api.Endpoint) []string {
			return []string{e.Cell, short(e.Container), e.App, groupText(e.Group), e.IP, strconv.Itoa(int(e.OFPort)), onText(e.Log), egressText(e.Egress)}
		},
		app:  func(e *api.Endpoint) *string { return &e.App },
		wrap: func(list []api.Endpoint) any { return api.EndpointsList{Endpoints: list} },
		none: "No container is attached to a cell whose agent has connected.",
	}
	return &cobra.Command{
		Use:   "endpoints",
		Short: "Show the containers on the overlay",
		Long: `Show the containers that the cells' agents have reported, with the OpenFlow port
of each on its cell's bridge. Those of a cell that is away are as its agent last
said. One without app started isolated: no policy can match it.

LOG says whether its accepted connections are logged (weft logging). EGRESS is
where it may open connections out of the overlay: the profile's number, which
all containers with the same rules share and which flows of table egress have in
reg5, and the first of the rules. Long container ids and rules are shortened;
-o json has them whole.`,
		Example: `  weft endpoints
  weft endpoints -o json | jq -r '.endpoints[] | select(.container == "c1") | .egress'`,
		Args: cobra.NoArgs,
		RunE: l.run(c),
	}
}

// short cuts a container id as container runtimes do in their listings.
func short(container string) string {
	const shown = 16
	if len(container) <= shown {
		return container
	}
	return container[:shown]
}

func onText(is bool) string {
	if is {
		return "on"
	}
	return "" // off
}

// egressText shows the profile, as flows have it, and as much of the rules as
// fits in a line with the others.
func egressText(text string) string {
	if text == "" {
		return "" // nowhere
	}
	rules := flows.EgressRules(text)
	first, more, _ := strings.Cut(text, "; ")
	shown := fmt.Sprintf("0x%x: %s", uint32(rules.Profile()), first)
	switch n := strings.Count(more, "; ") + 1; {
	case more == "":
		return shown
	default:
		return fmt.Sprintf("%s; and %d more", shown, n)
	}
}

// groupText shows a group id as people count and as flows print it.
func groupText(group uint16) string {
	if group == 0 {
		return "" // none
	}
	return fmt.Sprintf("%d (0x%x)", group, group)
}

// newGroups returns weft groups.
func newGroups(c *cli) *cobra.Command {
	l := listing[api.Group]{
		headers: []string{"GROUP", "HEX", "APP", "TYPE", "POLICIES", "STATE"},
		fetch:   func(ctx context.Context, client *api.Client) ([]api.Group, error) { return client.Groups(ctx) },
		row: func(g api.Group) []string {
			return []string{
				strconv.Itoa(int(g.Group)), fmt.Sprintf("0x%x", g.Group), g.App, g.Type, strconv.Itoa(g.Policies), stateText(g),
			}
		},
		app:  func(g *api.Group) *string { return &g.App },
		wrap: func(list []api.Group) any { return api.GroupsList{Groups: list} },
		none: "No app has a group id. It gets one when a policy names it or its first container starts.",
	}
	return &cobra.Command{
		Use:   "groups",
		Short: "Show the group id of each app",
		Long: `Show the group id of each app: what its packets carry in the VXLAN header
(tun_gbp_id), and what reg0 and reg1 hold in the flows of table policy. HEX is
the spelling of ovs-ofctl.

An id that no policy names and no container has is freed and quarantined: its
app can have it back, but nobody else can until every cell has confirmed that
its switch no longer knows it, and group_quarantine (5m) has gone by since. The
time shown is the earliest. A cell that is away holds that up: weft cells shows
it.`,
		Example: `  weft groups`,
		Args:    cobra.NoArgs,
		RunE:    l.run(c),
	}
}

// stateText says of an id in quarantine when it can leave it at the earliest.
func stateText(g api.Group) string {
	switch {
	case g.State == "":
		return "in use"
	case g.Until == nil:
		return g.State
	}
	return g.State + " until " + g.Until.UTC().Format(time.RFC3339)
}

// newSets returns weft sets.
func newSets(c *cli) *cobra.Command {
	l := listing[api.SetInfo]{
		headers: []string{"SET", "POLICIES"},
		fetch:   func(ctx context.Context, client *api.Client) ([]api.SetInfo, error) { return client.Sets(ctx) },
		row:     func(s api.SetInfo) []string { return []string{s.Name, strconv.Itoa(s.Policies)} },
		wrap: func(list []api.SetInfo) any {
			return struct {
				Sets []api.SetInfo `json:"sets"`
			}{list}
		},
		none: "No policy is in a set. weft apply -f FILE makes one.",
	}
	return &cobra.Command{
		Use:     "sets",
		Short:   "Show the policy sets that weft apply made",
		Example: "  weft sets\n  weft policies --set shop",
		Args:    cobra.NoArgs,
		RunE:    l.run(c),
	}
}
