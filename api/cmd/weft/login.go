package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/weft-sdn/weft/api"
)

const loginHelp = `Remember a controller, and who you are to it, as a context. The commands that
follow speak to the context that was logged in to last; weft context use and
--context choose another.

There are four ways to authenticate, one for each auth.mode of weft-controller
and one that reads the token's file each time:

  --token-stdin           the controller's token, kept in the context
  --token-file FILE       a file that holds it
  --uaa URL               a UAA: with --user as a person, else as --client-id.
                          The password or the client's secret comes from
                          standard input; on a terminal you are asked for it
  --cert FILE --key FILE  a client certificate

With --cc, commands take the names of apps, or org/space/app, and ask Cloud
Controller for their GUIDs. It takes tokens of its UAA only.

Contexts are in $XDG_CONFIG_HOME/weft/config.yaml (~/.config if that is not
set), which only you may read. Nothing is kept unless the controller accepts
the login.`

const loginExample = `  weft login --api http://127.0.0.1:4002 --token-file /etc/weft/token
  weft login --context prod --api https://weft.example.com --ca-file ca.pem \
      --uaa https://uaa.sys.example.com --user admin --cc https://api.sys.example.com
  weft login --context ci --api https://weft.example.com \
      --uaa https://uaa.sys.example.com --client-id ci < secret
  weft login --context ops --api https://weft.example.com --cert me.crt --key me.key`

// login is what the flags of weft login say.
type login struct {
	*cli
	caFile, ccURL       string
	tokenStdin          bool
	uaa, user, clientID string
	certFile, keyFile   string
}

// newLogin returns weft login.
func newLogin(c *cli) *cobra.Command {
	l := &login{cli: c}
	cmd := &cobra.Command{
		Use:     "login",
		Short:   "Remember a controller and how to authenticate to it",
		Long:    loginHelp,
		Example: loginExample,
		Args:    cobra.NoArgs,
		RunE:    l.run,
	}
	flags := cmd.Flags()
	flags.StringVar(&l.caFile, "ca-file", "", "PEM file of an authority to trust for controller, UAA and Cloud Controller")
	flags.StringVar(&l.ccURL, "cc", "", "URL of Cloud Controller, to use the names of apps")
	flags.BoolVar(&l.tokenStdin, "token-stdin", false, "read the controller's token from standard input")
	flags.StringVar(&l.uaa, "uaa", "", "URL of the UAA that gives tokens")
	flags.StringVar(&l.user, "user", "", "user of the UAA; without one, the client itself")
	flags.StringVar(&l.clientID, "client-id", "", `client of the UAA; with --user one that has no secret ("cf" by default)`)
	flags.StringVar(&l.certFile, "cert", "", "PEM file of a client certificate")
	flags.StringVar(&l.keyFile, "key", "", "PEM file of its key")
	cmd.MarkFlagsRequiredTogether("cert", "key")
	return cmd
}

func (l *login) run(cmd *cobra.Command, _ []string) error {
	s, err := l.fromFlags()
	if err != nil {
		return err
	}
	all, err := loadContexts()
	if err != nil {
		return err
	}
	if err := l.secrets(cmd, &s); err != nil {
		return err
	}
	all.put(s)
	l.contextName, l.all = s.Name, all // what goes wrong from here on is this context's
	who, err := all.whoAmI(cmd.Context(), s)
	switch {
	case errors.Is(err, api.ErrForbidden): // known, but no administrator
		who = "somebody who may not administer the network"
	case err != nil:
		return err
	}
	if err := all.save(); err != nil {
		return err
	}
	_, err = fmt.Fprintf(cmd.OutOrStdout(), "logged in to %s as %s (context %s)\n", s.URL, safe(who), safe(s.Name))
	return err
}

// whoAmI asks the controller of the context, with nothing but the context.
func (all *contexts) whoAmI(ctx context.Context, s savedContext) (string, error) {
	tokens, err := all.tokens(s)
	if err != nil {
		return "", err
	}
	config, err := s.controllerTLS()
	if err != nil {
		return "", err
	}
	return api.NewClientWith(s.URL, tokens, config).WhoAmI(ctx)
}

// fromFlags is the context without its secrets. Files become absolute, because
// later commands run elsewhere.
func (l *login) fromFlags() (savedContext, error) {
	ways := 0
	for _, given := range []bool{l.tokenStdin, l.tokenFile != "", l.uaa != "", l.certFile != ""} {
		if given {
			ways++
		}
	}
	switch {
	case l.token != "":
		return savedContext{}, errors.New("--token can be read in the process list: give --token-file FILE, or --token-stdin")
	case ways != 1:
		return savedContext{}, fmt.Errorf("login takes one of --token-file, --token-stdin, --uaa and --cert, but got %d of them: weft login --help explains them", ways)
	case l.uaa == "" && l.user != "":
		return savedContext{}, fmt.Errorf("--user %q: of which UAA? Give its URL with --uaa", l.user)
	case l.uaa != "" && l.user == "" && l.clientID == "":
		return savedContext{}, fmt.Errorf("--uaa %s: give --user NAME, or --client-id ID", l.uaa)
	case l.ccURL != "" && l.certFile != "":
		return savedContext{}, fmt.Errorf("--cc %s: Cloud Controller takes no certificates: log in with --uaa", l.ccURL)
	}
	s := savedContext{URL: l.apiURL(), CCURL: l.ccURL}
	for _, address := range []struct{ flag, url string }{{"api", s.URL}, {"uaa", l.uaa}, {"cc", l.ccURL}} {
		if err := checkURL(address.flag, address.url); err != nil {
			return savedContext{}, err
		}
	}
	for _, file := range []struct {
		path string
		into *string
	}{{l.caFile, &s.CAFile}, {l.tokenFile, &s.TokenFile}, {l.certFile, &s.CertFile}, {l.keyFile, &s.KeyFile}} {
		if file.path == "" {
			continue
		}
		path, err := filepath.Abs(file.path)
		if err != nil {
			return savedContext{}, err
		}
		*file.into = path
	}
	if l.uaa != "" {
		s.UAA = &uaaLogin{URL: l.uaa, User: l.user, ClientID: cmp.Or(l.clientID, "cf")}
	}
	s.Name = l.contextName
	if s.Name == "" {
		u, _ := url.Parse(s.URL) // it has been checked
		s.Name = u.Host
	}
	return s, nil
}

// checkURL refuses what is no address of a server; "" is none.
func checkURL(flag, address string) error {
	if address == "" {
		return nil
	}
	u, err := url.Parse(address)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return fmt.Errorf("--%s %q: must be a URL such as https://%s.example.com", flag, address, flag)
	}
	if u.User != nil { // addresses are shown
		return fmt.Errorf("--%s %q: must not hold a user or password", flag, u.Redacted())
	}
	return nil
}

// secrets asks for what is not on the command line.
func (l *login) secrets(cmd *cobra.Command, s *savedContext) error {
	switch {
	case l.tokenStdin:
		token, err := readSecret(cmd, "Token")
		s.Token = token
		return err
	case s.UAA == nil:
		return nil
	}
	trust, err := s.serverTrust()
	if err != nil {
		return err
	}
	client := outsideClient(trust)
	if s.UAA.User == "" {
		if s.UAA.ClientSecret, err = readSecret(cmd, "Secret of client "+s.UAA.ClientID); err != nil {
			return err
		}
		return s.UAA.renew(cmd.Context(), client)
	}
	password, err := readSecret(cmd, "Password of "+s.UAA.User)
	if err != nil {
		return err
	}
	return s.UAA.withPassword(cmd.Context(), client, password)
}

// readSecret reads standard input. A terminal is asked, and shows nothing.
func readSecret(cmd *cobra.Command, what string) (string, error) {
	in := cmd.InOrStdin()
	var raw []byte
	var err error
	if f, isFile := in.(*os.File); isFile && term.IsTerminal(int(f.Fd())) {
		fmt.Fprintf(cmd.ErrOrStderr(), "%s: ", what)
		raw, err = term.ReadPassword(int(f.Fd()))
		fmt.Fprintln(cmd.ErrOrStderr())
	} else {
		raw, err = io.ReadAll(io.LimitReader(in, 64<<10))
	}
	if err != nil {
		return "", fmt.Errorf("reading %s: %w", strings.ToLower(what), err)
	}
	secret := strings.TrimRight(string(raw), "\r\n")
	if secret == "" {
		return "", fmt.Errorf("%s: standard input is empty: pipe it in, such as with < FILE", what)
	}
	return secret, nil
}
