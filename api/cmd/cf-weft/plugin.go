package main

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"os"
	"os/signal"
	"regexp"
	"strings"

	"code.cloudfoundry.org/cli/plugin"

	"github.com/weft-sdn/weft/api"
)

func main() { plugin.Start(weft{}) }

// weft is the plugin as cf sees it.
type weft struct{}

const (
	allowUsage = "cf allow-access SOURCE_APP DESTINATION_APP --port PORT [--protocol tcp|udp] [--wait]"
	denyUsage  = "cf deny-access SOURCE_APP DESTINATION_APP --port PORT [--protocol tcp|udp] [--wait]"
	listUsage  = "cf list-access [--source APP] [--destination APP]"
)

// GetMetadata tells cf which commands there are.
func (weft) GetMetadata() plugin.PluginMetadata {
	write := map[string]string{
		"protocol": "tcp or udp; tcp if not given",
		"port":     "port or range of ports, such as 8080 or 8080-8090",
		"wait":     "wait until every affected connected cell's switch has it",
	}
	return plugin.PluginMetadata{
		Name:          "weft",
		Version:       plugin.VersionType{Major: 1},
		MinCliVersion: plugin.VersionType{Major: 6, Minor: 7},
		Commands: []plugin.Command{
			{
				Name: "allow-access", HelpText: "Let one app connect to another",
				UsageDetails: plugin.Usage{Usage: allowUsage, Options: write},
			},
			{
				Name: "deny-access", HelpText: "Take back what allow-access gave",
				UsageDetails: plugin.Usage{Usage: denyUsage, Options: write},
			},
			{
				Name: "list-access", HelpText: "Show which apps may connect to which",
				UsageDetails: plugin.Usage{Usage: listUsage, Options: map[string]string{
					"source": "only from this app", "destination": "only to this app",
				}},
			},
		},
	}
}

// Run is called by cf for each command, and to say that it uninstalls the plugin.
func (weft) Run(connection plugin.CliConnection, args []string) {
	if len(args) == 0 || args[0] == "CLI-MESSAGE-UNINSTALL" {
		return
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	root := newRoot(&platform{connection})
	root.SetArgs(args)
	if err := root.ExecuteContext(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "FAILED\n"+err.Error())
		os.Exit(1)
	}
}

// platform is the Cloud Foundry that cf is logged in to.
type platform struct{ plugin.CliConnection }

// guidText is what Cloud Controller calls apps by.
var guidText = regexp.MustCompile(`^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$`)

// app returns the GUID of an app of the target space. A GUID, of an app of any
// space, goes through unchanged.
func (p *platform) app(name string) (string, error) {
	if guidText.MatchString(name) {
		return name, nil
	}
	app, err := p.GetApp(name)
	if err != nil {
		return "", fmt.Errorf("app %q: %w: see cf apps, or give its GUID (cf app NAME --guid) if it is in another space", name, err)
	}
	return app.Guid, nil
}

// names returns the names of the target space's apps by their GUIDs. Without a
// target there are none.
func (p *platform) names() map[string]string {
	names := map[string]string{}
	apps, _ := p.GetApps()
	for _, app := range apps {
		names[app.Guid] = app.Name
	}
	return names
}

// client returns the door to the controller, as whom cf is logged in.
func (p *platform) client() (*api.Client, error) {
	url, err := p.controller()
	if err != nil {
		return nil, err
	}
	token, err := p.AccessToken()
	if err != nil {
		return nil, fmt.Errorf("%w: cf login first", err)
	}
	_, token, _ = strings.Cut(token, " ") // cf says "bearer TOKEN"
	insecure, err := p.IsSSLDisabled()
	if err != nil {
		return nil, err
	}
	tokens := func(context.Context) (string, error) { return token, nil }
	return api.NewClientWith(url, tokens, &tls.Config{MinVersion: tls.VersionTLS12, InsecureSkipVerify: insecure}), nil // as cf itself does with --skip-ssl-validation
}

// controller is where Cloud Controller says that network policies are, unless
// WEFT_API says otherwise.
func (p *platform) controller() (string, error) {
	if url := os.Getenv("WEFT_API"); url != "" {
		return url, nil
	}
	lines, err := p.CliCommandWithoutTerminalOutput("curl", "/")
	if err != nil {
		return "", fmt.Errorf("asking Cloud Controller where network policies are: %w: cf login first, or set WEFT_API", err)
	}
	var root struct {
		Links map[string]struct {
			Href string `json:"href"`
		} `json:"links"`
	}
	if err := json.Unmarshal([]byte(strings.Join(lines, "\n")), &root); err != nil {
		return "", fmt.Errorf("asking Cloud Controller where network policies are: %w", err)
	}
	url, isOurs := strings.CutSuffix(strings.TrimRight(root.Links["network_policy_v1"].Href, "/"), "/networking/v1/external")
	if !isOurs {
		return "", fmt.Errorf("the Cloud Controller does not say where network policies are (network_policy_v1 is %q): set WEFT_API to weft-controller's URL", root.Links["network_policy_v1"].Href)
	}
	return url, nil
}
