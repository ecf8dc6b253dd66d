package main

import (
	"cmp"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/weft-sdn/weft/api"
	"github.com/weft-sdn/weft/buildinfo"
)

// defaultAPI is where weft-controller listens unless told otherwise.
const defaultAPI = "http://127.0.0.1:4002"

// cli is what the flags common to all commands say.
type cli struct {
	api         string // "" for the context's
	token       string
	tokenFile   string
	contextName string // "" for the current one
	output      string // "table" or "json"

	all *contexts // once they have been read
}

const rootHelp = `weft allows and removes access between apps on a Weft overlay, and shows
what the cells, their containers and their group ids are.

Nothing may talk to anything until a policy allows it. A policy names the app
that connects, the app that is connected to, a protocol and ports; replies need
no policy of their own, and two instances of one app need one from the app to
itself. A policy opens nothing out of the overlay: that is what the egress rules
are for that a container runtime gives each container, and weft endpoints shows.

weft login remembers a controller. Without a context, weft speaks to the one at
--api or WEFT_API, by default http://127.0.0.1:4002, with the token of
--token, --token-file, WEFT_TOKEN or WEFT_TOKEN_FILE; these win over the
context's. A context is not used at all where --api or WEFT_API names a
controller, unless --context or WEFT_CONTEXT asks for it.

Exit status: 0 when done, 1 when not. weft diff: 0 for no difference, 1 for
some, 2 when it could not tell. weft doctor: 1 also when something is wrong.`

const rootExample = `  weft login --token-file /etc/weft/token
  weft allow-access cats dogs --protocol tcp --port 8080 --wait
  weft policies
  weft groups
  weft remove-access cats dogs --protocol tcp --port 8080

  # keep policies in a file
  weft diff -f policies.yaml
  weft apply -f policies.yaml --prune --wait

  # who may connect to dogs, and who allowed it?
  weft who-can-reach dogs
  weft audit --app dogs

  # which policy caused the flow that ovs-ofctl shows?
  weft explain 0x4000000000000007

  # take a cell out of service
  weft cells drain cell-3

  # who talks to cats, from now on? (the cells' flow logs tell)
  weft logging cats on

  # on a cell: what of its host makes the overlay fail?
  weft doctor`

func newRoot(c *cli) *cobra.Command {
	root := &cobra.Command{
		Use:               "weft",
		Short:             "Allow access between apps and look at the overlay",
		Long:              rootHelp,
		Example:           rootExample,
		Version:           buildinfo.Version(),
		SilenceErrors:     true,
		SilenceUsage:      true,
		PersistentPreRunE: func(*cobra.Command, []string) error { return c.validate() },
	}
	flags := root.PersistentFlags()
	flags.StringVar(&c.api, "api", os.Getenv("WEFT_API"), "URL of weft-controller (env WEFT_API)")
	flags.StringVar(&c.contextName, "context", os.Getenv("WEFT_CONTEXT"), "context to use, of weft login (env WEFT_CONTEXT)")
	flags.StringVar(&c.token, "token", "", "bearer token; others can read it in the process list, so prefer --token-file (env WEFT_TOKEN)")
	flags.StringVar(&c.tokenFile, "token-file", "", "file that holds the token (env WEFT_TOKEN_FILE)")
	flags.StringVarP(&c.output, "output", "o", "table", "table for people, json for programs")
	_ = root.RegisterFlagCompletionFunc("output", cobra.FixedCompletions([]string{"table", "json"}, cobra.ShellCompDirectiveNoFileComp)) // the flag exists
	root.AddCommand(
		newLogin(c), newContext(c),
		newAllow(c), newRemove(c), newPolicies(c),
		newApply(c), newDiff(c), newSets(c), newWhoCanReach(c), newAudit(c), newWatch(c),
		newCells(c), newEndpoints(c), newGroups(c), newExplain(c), newLogging(c), newDoctor(c),
	)
	return root
}

func (c *cli) validate() error {
	if c.output != "table" && c.output != "json" {
		return fmt.Errorf("--output %q: must be table or json", c.output)
	}
	return nil
}

// client returns the door to the controller, with the token of the first of:
// --token, --token-file, WEFT_TOKEN, WEFT_TOKEN_FILE, the context. Without any
// it has none, and the controller says so.
func (c *cli) client() (*api.Client, error) {
	s, err := c.context()
	if err != nil {
		return nil, err
	}
	tokens, err := c.tokens(s)
	if err != nil {
		return nil, err
	}
	config, err := s.controllerTLS()
	if err != nil {
		return nil, err
	}
	return api.NewClientWith(c.apiURL(), tokens, config), nil
}

// apiURL is where the controller is. Call context before.
func (c *cli) apiURL() string {
	if c.api == "" && c.all != nil {
		if s := c.all.find(c.contextName); s != nil {
			return s.URL
		}
	}
	return cmp.Or(c.api, defaultAPI)
}

// context returns the context to use, an empty one for none: where a controller
// is named without one, no secret of a context may go there.
func (c *cli) context() (savedContext, error) {
	if c.api != "" && c.contextName == "" {
		return savedContext{}, nil
	}
	if c.all == nil {
		all, err := loadContexts()
		if err != nil && c.contextName == "" && errors.Is(err, errNoHome) {
			return savedContext{}, nil
		}
		if err != nil {
			return savedContext{}, err
		}
		c.all = all
	}
	asked := c.contextName != ""
	c.contextName = cmp.Or(c.contextName, c.all.Current)
	s := c.all.find(c.contextName)
	switch {
	case s != nil:
		return *s, nil
	case asked:
		return savedContext{}, fmt.Errorf("there is no context %q: weft context list shows those that there are, weft login makes one", c.contextName)
	}
	return savedContext{}, nil
}

// tokens returns what gives the token of each request, nil for none.
func (c *cli) tokens(s savedContext) (api.TokenSource, error) {
	token, err := c.findToken()
	if err != nil {
		return nil, err
	}
	if token != "" {
		return constant(token), nil
	}
	return c.all.tokens(s)
}

// findToken returns the token that flags or the environment give, "" for none.
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
	return readToken(file)
}

// errToken says that the file of the token is not there, or cannot be read.
var errToken = errors.New("reading the token file")

// readToken reads a file that holds a token.
func readToken(file string) (string, error) {
	raw, err := os.ReadFile(file)
	if err != nil {
		return "", fmt.Errorf("%w: %w", errToken, err)
	}
	token := strings.TrimSpace(string(raw))
	if token == "" {
		return "", fmt.Errorf("reading the token file: %s is empty", file)
	}
	return token, nil
}

// nextStep says what a person can do about an error, "" if the error says it.
func (c *cli) nextStep(err error) string {
	var agent *agentError
	switch {
	case errors.As(err, &agent):
		return agent.nextStep()
	case errors.Is(err, api.ErrUnauthorized):
		if c.all != nil && c.all.find(c.contextName) != nil {
			return fmt.Sprintf("Log in again: weft login --context %s ... (weft login --help shows how).", c.contextName)
		}
		return "Give the controller's token with --token-file FILE or WEFT_TOKEN_FILE; weft-controller logs the file's path when it starts."
	case errors.Is(err, api.ErrForbidden):
		return "Ask an administrator of the network (scope network.admin), or for the role of a space developer in the spaces of both apps."
	case errors.Is(err, api.ErrConflict):
		return "Nothing was changed."
	case errors.Is(err, api.ErrOutdated):
		return "Somebody else changed policies meanwhile: look at them (weft diff) and try again."
	case errors.As(err, new(x509.UnknownAuthorityError)):
		return "If that is the server you mean, trust its authority: weft login --ca-file FILE."
	case errors.Is(err, errToken) && errors.Is(err, fs.ErrNotExist):
		return "weft-controller makes the token at its first start: auth.token_file of its own file says where, which is /etc/weft/token if weft-controller init made that in /etc/weft."
	case errors.As(err, new(*fs.PathError)): // its errno is a net.Error, too
		return ""
	case errors.As(err, new(net.Error)): // nobody answered; who answers says what is wrong
		return fmt.Sprintf("Is weft-controller running at %s? Set --api URL or WEFT_API if it listens elsewhere.", c.apiURL())
	case errors.Is(err, api.ErrExhausted):
		return "Nothing was changed. Policies among the apps that weft groups lists can still be added; it also shows which ids wait in quarantine."
	case strings.HasPrefix(err.Error(), "unknown command"):
		return "Run weft --help for the commands."
	}
	return ""
}
