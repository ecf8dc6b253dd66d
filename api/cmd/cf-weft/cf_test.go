package main

import (
	"errors"
	"net"
	"net/rpc"
	"slices"
	"strings"
	"sync"

	"code.cloudfoundry.org/cli/plugin"
	plugin_models "code.cloudfoundry.org/cli/plugin/models"
)

// cf is the cf command as a plugin meets it: a server of net/rpc on loopback
// whose user targets a space with two apps.
type cf struct {
	token string // of the user; "": nobody is logged in
	links string // what Cloud Controller's root says

	mu       sync.Mutex
	metadata plugin.PluginMetadata
	asked    []string // the core command that a plugin had run
}

// start returns the port that cf gives its plugins.
func (c *cf) start() (port string, stop func(), err error) {
	server := rpc.NewServer()
	if err := server.RegisterName("CliRpcCmd", c); err != nil {
		return "", nil, err
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", nil, err
	}
	go func() {
		for {
			connection, err := listener.Accept()
			if err != nil {
				return
			}
			go server.ServeConn(connection)
		}
	}()
	_, port, err = net.SplitHostPort(listener.Addr().String())
	return port, func() { _ = listener.Close() }, err
}

// The methods that follow are cf's protocol.

// SetPluginMetadata is how a plugin introduces itself.
func (c *cf) SetPluginMetadata(metadata plugin.PluginMetadata, ok *bool) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.metadata, *ok = metadata, true
	return nil
}

// IsMinCliVersion says that this cf is new enough.
func (c *cf) IsMinCliVersion(_ string, ok *bool) error { *ok = true; return nil }

// IsSSLDisabled says that certificates are checked.
func (c *cf) IsSSLDisabled(_ string, disabled *bool) error { *disabled = false; return nil }

// AccessToken gives the user's token.
func (c *cf) AccessToken(_ string, token *string) error {
	if c.token == "" {
		return errors.New("Not logged in")
	}
	*token = "bearer " + c.token
	return nil
}

var apps = []plugin_models.GetAppsModel{
	{Guid: "00000000-0000-4000-8000-000000000001", Name: "web"},
	{Guid: "00000000-0000-4000-8000-000000000002", Name: "backend"},
}

// GetApp finds an app of the target space; none is an empty one.
func (c *cf) GetApp(name string, app *plugin_models.GetAppModel) error {
	i := slices.IndexFunc(apps, func(a plugin_models.GetAppsModel) bool { return a.Name == name })
	if i < 0 {
		return errors.New("App " + name + " not found")
	}
	app.Guid, app.Name = apps[i].Guid, apps[i].Name
	return nil
}

// GetApps lists the apps of the target space.
func (c *cf) GetApps(_ string, all *[]plugin_models.GetAppsModel) error { *all = apps; return nil }

// DisableTerminalOutput is called before a core command.
func (c *cf) DisableTerminalOutput(_ bool, ok *bool) error { *ok = true; return nil }

// CallCoreCommand runs cf curl /, and nothing else.
func (c *cf) CallCoreCommand(args []string, ok *bool) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.asked, *ok = args, slices.Equal(args, []string{"curl", "/"})
	return nil
}

// GetOutputAndReset gives what that printed.
func (c *cf) GetOutputAndReset(_ bool, lines *[]string) error {
	*lines = strings.Split(c.links, "\n")
	return nil
}
