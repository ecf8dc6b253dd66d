package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/weft-sdn/weft/api"
)

// contexts is the file that weft login writes: controllers, and who one is to
// each. It holds secrets, so nobody but its owner may read it.
type contexts struct {
	Current  string         `yaml:"current,omitempty"` // name of the context in use
	Contexts []savedContext `yaml:"contexts"`

	path string
}

// savedContext is one controller and one way to authenticate to it: at most
// one of Token, TokenFile, UAA and CertFile.
type savedContext struct {
	Name      string    `yaml:"name"`
	URL       string    `yaml:"url"`                  // of weft-controller's external API
	CAFile    string    `yaml:"ca_file,omitempty"`    // PEM, trusted besides the machine's own authorities
	CCURL     string    `yaml:"cc_url,omitempty"`     // of Cloud Controller, for the names of apps
	Token     string    `yaml:"token,omitempty"`      // the token itself
	TokenFile string    `yaml:"token_file,omitempty"` // or a file that holds it, read for each command
	CertFile  string    `yaml:"cert_file,omitempty"`  // client certificate, PEM
	KeyFile   string    `yaml:"key_file,omitempty"`
	UAA       *uaaLogin `yaml:"uaa,omitempty"`
}

// how says how one authenticates.
func (s savedContext) how() string {
	switch {
	case s.UAA != nil && s.UAA.User != "":
		return "uaa user " + s.UAA.User
	case s.UAA != nil:
		return "uaa client " + s.UAA.ClientID
	case s.CertFile != "":
		return "certificate " + s.CertFile
	case s.TokenFile != "":
		return "token in " + s.TokenFile
	case s.Token != "":
		return "token"
	}
	return "nothing"
}

// errNoHome says that there is no folder to keep contexts in.
var errNoHome = errors.New("nowhere to keep contexts: set XDG_CONFIG_HOME or HOME")

// contextsPath is where the file is, or would be.
func contextsPath() (string, error) {
	dir, err := os.UserConfigDir()
	if err != nil {
		return "", fmt.Errorf("%w: %w", errNoHome, err)
	}
	return filepath.Join(dir, "weft", "config.yaml"), nil
}

// loadContexts reads the file. None is an empty one.
func loadContexts() (*contexts, error) {
	path, err := contextsPath()
	if err != nil {
		return nil, err
	}
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return &contexts{path: path}, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading contexts: %w", err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, fmt.Errorf("reading contexts: %w", err)
	}
	if info.Mode().Perm()&0o077 != 0 {
		return nil, fmt.Errorf("reading contexts: others may read %s, which holds secrets: chmod 600 %s", path, path)
	}
	all := &contexts{path: path}
	decoder := yaml.NewDecoder(f)
	decoder.KnownFields(true)
	if err := decoder.Decode(all); err != nil && !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("reading contexts: %s: %s", path, yamlText(err))
	}
	return all, nil
}

// goType is how the YAML library names what it could not fill.
var goType = regexp.MustCompile(` (in|into) (type )?main\.\w+`)

// yamlText is what the YAML library says, on one line and for people.
func yamlText(err error) string {
	text := strings.TrimPrefix(err.Error(), "yaml: ")
	var wrong *yaml.TypeError
	if errors.As(err, &wrong) {
		text = goType.ReplaceAllString(strings.Join(wrong.Errors, "; "), "")
	}
	return text
}

// save replaces the file as a whole, so that a reader never finds half of it.
func (all *contexts) save() error {
	var text bytes.Buffer
	encoder := yaml.NewEncoder(&text)
	encoder.SetIndent(2)
	if err := encoder.Encode(all); err != nil {
		return fmt.Errorf("writing contexts: %w", err)
	}
	dir := filepath.Dir(all.path)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("writing contexts: %w", err)
	}
	f, err := os.CreateTemp(dir, ".config-*") // 0600
	if err != nil {
		return fmt.Errorf("writing contexts: %w", err)
	}
	defer os.Remove(f.Name()) // fails once it has its name
	_, err = f.Write(text.Bytes())
	if err := errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("writing contexts: %w", err)
	}
	if err := os.Rename(f.Name(), all.path); err != nil {
		return fmt.Errorf("writing contexts: %w", err)
	}
	return nil
}

// find returns the context of that name, nil if there is none. What is changed
// in it changes the file at the next save.
func (all *contexts) find(name string) *savedContext {
	i := slices.IndexFunc(all.Contexts, func(s savedContext) bool { return s.Name == name })
	if i < 0 {
		return nil
	}
	return &all.Contexts[i]
}

// put adds the context or replaces the one of its name, and makes it current.
func (all *contexts) put(s savedContext) {
	if old := all.find(s.Name); old != nil {
		*old = s
	} else {
		all.Contexts = append(all.Contexts, s)
	}
	all.Current = s.Name
}

// tokens returns what gives the tokens of a context, nil if it has none.
func (all *contexts) tokens(s savedContext) (api.TokenSource, error) {
	switch {
	case s.UAA != nil:
		trust, err := s.serverTrust()
		return all.renewed(s.Name, outsideClient(trust)), err
	case s.TokenFile != "":
		token, err := readToken(s.TokenFile)
		return constant(token), err
	case s.Token != "":
		return constant(s.Token), nil
	}
	return nil, nil
}

// constant gives a token that does not end.
func constant(token string) api.TokenSource {
	return func(context.Context) (string, error) { return token, nil }
}

// serverTrust is whom to believe to be a server: nil for the machine's own
// authorities alone.
func (s savedContext) serverTrust() (*tls.Config, error) {
	if s.CAFile == "" {
		return nil, nil
	}
	pem, err := os.ReadFile(s.CAFile)
	if err != nil {
		return nil, fmt.Errorf("reading the CA: %w", err)
	}
	pool, err := x509.SystemCertPool()
	if err != nil {
		pool = x509.NewCertPool()
	}
	if !pool.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("reading the CA: %s holds no PEM certificate", s.CAFile)
	}
	return &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: pool}, nil
}

// controllerTLS is the same with the client's certificate.
func (s savedContext) controllerTLS() (*tls.Config, error) {
	config, err := s.serverTrust()
	if err != nil || s.CertFile == "" {
		return config, err
	}
	pair, err := tls.LoadX509KeyPair(s.CertFile, s.KeyFile)
	if err != nil {
		return nil, fmt.Errorf("reading certificate %s and key %s: %w", s.CertFile, s.KeyFile, err)
	}
	if config == nil {
		config = &tls.Config{MinVersion: tls.VersionTLS12}
	}
	config.Certificates = []tls.Certificate{pair}
	return config, nil
}
