package main

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/weft-sdn/weft/api"
)

// defaultAPI is where weft-controller listens unless told otherwise.
const defaultAPI = "http://127.0.0.1:4002"

// cli is what the flags common to all commands say.
type cli struct {
	api       string
	token     string
	tokenFile string
	output    string // "table" or "json"
}

const rootHelp = `weft allows and removes access between apps on a Weft overlay, and shows
what the cells, their containers and their group ids are.

Nothing may talk to anything until a policy allows it. A policy names the app
that connects, the app that is connected to, a protocol and ports; replies need
no policy of their own, and two instances of one app need one from the app to
itself. A policy opens nothing out of the overlay: that is what the egress rules
are for that a container runtime gives each container, and weft endpoints shows.`

const rootExample = `  weft allow-access cats dogs --protocol tcp --port 8080 --wait
  weft list-access
  weft groups
  weft remove-access cats dogs --protocol tcp --port 8080

  # which policy caused the flow that ovs-ofctl shows?
  weft explain 0x4000000000000007

  # who talks to cats, from now on? (the cells' flow logs tell)
  weft logging cats on`

func newRoot(c *cli) *cobra.Command {
	root := &cobra.Command{
		Use:               "weft",
		Short:             "Allow access between apps and look at the overlay",
		Long:              rootHelp,
		Example:           rootExample,
		SilenceErrors:     true,
		SilenceUsage:      true,
		PersistentPreRunE: func(*cobra.Command, []string) error { return c.validate() },
	}
	flags := root.PersistentFlags()
	flags.StringVar(&c.api, "api", fromEnv("WEFT_API", defaultAPI), "URL of weft-controller (env WEFT_API)")
	flags.StringVar(&c.token, "token", "", "bearer token; others can read it in the process list, so prefer --token-file (env WEFT_TOKEN)")
	flags.StringVar(&c.tokenFile, "token-file", "", "file that holds the token (env WEFT_TOKEN_FILE)")
	flags.StringVarP(&c.output, "output", "o", "table", "table for people, json for programs")
	_ = root.RegisterFlagCompletionFunc("output", cobra.FixedCompletions([]string{"table", "json"}, cobra.ShellCompDirectiveNoFileComp)) // the flag exists
	root.AddCommand(
		newAllow(c), newRemove(c), newListAccess(c),
		newCells(c), newEndpoints(c), newGroups(c), newExplain(c), newLogging(c),
	)
	return root
}

func fromEnv(name, otherwise string) string {
	if v := os.Getenv(name); v != "" {
		return v
	}
	return otherwise
}

func (c *cli) validate() error {
	if c.output != "table" && c.output != "json" {
		return fmt.Errorf("--output %q: must be table or json", c.output)
	}
	return nil
}

// client returns the door to the controller, with the token of the first of:
// --token, --token-file, WEFT_TOKEN, WEFT_TOKEN_FILE. Without any it has none,
// and the controller says so.
func (c *cli) client() (*api.Client, error) {
	token, err := c.findToken()
	if err != nil {
		return nil, err
	}
	return api.NewClient(c.api, token), nil
}

func (c *cli) findToken() (string, error) {
	file := c.tokenFile
	if c.token != "" {
		return c.token, nil
	}
	if file == "" {
		if token := os.Getenv("WEFT_TOKEN"); token != "" {
			return token, nil
		}
		file = os.Getenv("WEFT_TOKEN_FILE")
	}
	if file == "" {
		return "", nil
	}
	raw, err := os.ReadFile(file)
	if err != nil {
		return "", fmt.Errorf("reading the token file: %w", err)
	}
	token := strings.TrimSpace(string(raw))
	if token == "" {
		return "", fmt.Errorf("reading the token file: %s is empty", file)
	}
	return token, nil
}

// nextStep says what a person can do about an error, "" if the error says it.
func (c *cli) nextStep(err error) string {
	switch {
	case errors.Is(err, api.ErrUnauthorized):
		return "Give the controller's token with --token-file FILE or WEFT_TOKEN_FILE; weft-controller logs the file's path when it starts."
	case errors.As(err, new(*fs.PathError)): // its errno is a net.Error, too
		return ""
	case errors.As(err, new(net.Error)): // nobody answered; who answers says what is wrong
		return fmt.Sprintf("Is weft-controller running at %s? Set --api URL or WEFT_API if it listens elsewhere.", c.api)
	case errors.Is(err, api.ErrExhausted):
		return "Nothing was changed. Policies among the apps that weft groups lists can still be added; it also shows which ids wait in quarantine."
	case strings.HasPrefix(err.Error(), "unknown command"):
		return "Run weft --help for the commands."
	}
	return ""
}
