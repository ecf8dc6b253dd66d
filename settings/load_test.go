package settings_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/weft-sdn/weft/settings"
)

// sample is a configuration with a key of every kind.
type sample struct {
	Name, Secret, DSN string
	Size              int
	ID                uint32
	On                bool
	Every             time.Duration
	Nets              []string
}

func (s *sample) Keys() []settings.Key {
	return []settings.Key{
		{Name: "name", Value: settings.Text(&s.Name), Meaning: "A `name`.", Init: `"{{.Name}}"`},
		{Name: "login.secret", Value: settings.Text(&s.Secret), Meaning: "Hidden.", Redact: settings.Hide, Example: "example-secret"},
		{Name: "login.deep.dsn", Value: settings.Text(&s.DSN), Meaning: "Half hidden.", Redact: func(text string) string {
			before, _, _ := strings.Cut(text, "@")
			return before
		}},
		{Name: "size", Value: settings.Number(&s.Size), Meaning: "A size."},
		{Name: "id", Value: settings.Number(&s.ID), Meaning: "An id."},
		{Name: "on", Value: settings.Bool(&s.On), Meaning: "A switch."},
		{Name: "every", Value: settings.Duration(&s.Every), Meaning: "An interval."},
		{Name: "nets", Value: settings.Texts(&s.Nets), Meaning: "Networks.", Example: "[a, b]"},
	}
}

func (s *sample) Validate() error {
	var faults []error
	if s.Size < 0 {
		faults = append(faults, settings.Fault{Key: "size", Value: "small", Must: "must be larger"})
	}
	if strings.HasPrefix(s.Secret, "bad") {
		faults = append(faults, settings.Fault{Key: "login.secret", Value: s.Secret, Must: "must be good"})
	}
	if s.Name == "" {
		faults = append(faults, settings.Fault{Key: "name", Must: "must be set"})
	}
	return errors.Join(faults...)
}

func (s *sample) CheckFiles() error { return nil }

// write makes a file that only its owner can read.
func write(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "f.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestPrecedence: defaults, file, environment, flags.
func TestPrecedence(t *testing.T) {
	secret := write(t, "from a file\n")
	got := sample{Name: "default", Size: 1, ID: 1, Every: time.Minute}
	warnings, err := settings.Load(settings.Sources{
		File:   write(t, "size: 2\nid: 2\nlogin: {secret: file, deep: }\nnets: [x]\nevery: 3s\n"),
		Prefix: "S_",
		Env:    []string{"S_ID=3", "S_NETS=a, b", "S_LOGIN_SECRET_FILE=" + secret, "S_LOGIN_DEEP_DSN=1@2", "S_ON=true", "OTHER=x"},
		Flags:  map[string]string{"id": "4", "every": "90s"},
	}, &got)
	if err != nil || len(warnings) != 0 {
		t.Fatal(warnings, err)
	}
	if got.Name != "default" || got.Size != 2 || got.ID != 4 || got.Secret != "from a file" || got.DSN != "1@2" || !got.On ||
		got.Every != 90*time.Second || strings.Join(got.Nets, "|") != "a|b" {
		t.Errorf("%+v", got)
	}
}

// TestUnreadableFile is the one fault: what seems to be missing may be in it.
func TestUnreadableFile(t *testing.T) {
	for file, want := range map[string]string{
		"/nowhere/f.yaml":      "reading the configuration: no such file",
		write(t, "name: [\n"):  "not YAML",
		write(t, "name: *x\n"): "not YAML",
		t.TempDir():            "is a directory",
	} {
		_, err := settings.Load(settings.Sources{File: file}, &sample{})
		if faults, _ := err.(settings.Faults); len(faults) != 1 || !strings.Contains(faults[0], want) {
			t.Errorf("want only %q, got %q", want, err)
		}
	}
}

// TestFaults: each with its place, its key and what is wrong; no secret.
func TestFaults(t *testing.T) {
	missing := filepath.Join(t.TempDir(), "missing")
	for text, want := range map[string]string{
		"nam: x":                                  `1: nam: no such key; did you mean name?`,
		"\nsecret: hunter2":                       `2: secret: no such key; did you mean login.secret?`,
		"login: {secrt: hunter2}":                 `1: login.secrt: no such key; did you mean login.secret?`,
		"deep: {dsn: hunter2}":                    `1: deep: no such key; did you mean login.deep?`,
		"quite_another: hunter2":                  `1: quite_another: no such key`,
		"login: hunter2":                          `1: login: must hold keys: login.deep.dsn, login.deep.dsn_file, login.secret, login.secret_file`,
		"login: {secret: [hunter2]}":              `1: login.secret "***": must be text; put it in quotes`,
		"login:\n  secret: 7472":                  `2: login.secret "***": must be text`,
		"login:\n  secret: bad-hunter2":           `2: login.secret "***": must be good`,
		"login: {deep: {dsn: [a, \"@hunter2\"]}}": `1: login.deep.dsn "***": must be text`,
		"login: {secret_file: " + missing + "}":   `1: login.secret_file "` + missing + `": no such file or directory`,
		"login: {secret: a, secret_file: b}":      `1: login.secret_file: must not be given together with login.secret`,
		"login: {secret_file: /dev/null}":         `1: login.secret_file "/dev/null": the file is empty`,
		"login: {secret: *hunter2}":               `not YAML: a value that begins with * must stand in quotes`,
		"name: a\nsize: 1\nname: b":               `3: name: is given twice; first in line 1`,
		"name: 12":                                `1: name "12": must be text; put it in quotes`,
		"name:":                                   `1: name "": must be text`,
		"name: {a: b}":                            `1: name "{a: b}": must be text`,
		"size: 1e1":                               `1: size "1e1": must be a whole number`,
		"size: \"4\"":                             `1: size "4": must be a whole number`,
		"size: -1":                                `1: size "small": must be larger`,
		"id: -1":                                  `1: id "-1": must be a whole number`,
		"id: 4294967296":                          `1: id "4294967296": must be a whole number`,
		"on: yes please":                          `1: on "yes please": must be true or false`,
		"every: 5":                                `1: every "5": must be a duration with its unit`,
		"nets: a":                                 `1: nets "a": must be a list of text`,
		"nets:\n- a\n- [b]":                       `3: nets "[b]": must be text`,
		"- a":                                     `1: must be keys with values`,
		"just text":                               `1: must be keys with values`,
		"size: 1\n---\nsize: 2":                   `2: a second document begins`,
		"size: 1\n  id: [":                        `2: not YAML: `,
		"":                                        `f.yaml: name "": must be set`,
	} {
		path := write(t, text)
		_, err := settings.Load(settings.Sources{File: path}, &sample{})
		if err == nil || !strings.Contains(err.Error(), strings.Replace(want, "f.yaml", path, 1)) {
			t.Errorf("%q: no fault says\n%s; but\n%v", text, want, err)
		} else if strings.Contains(err.Error(), "hunter2") || strings.Contains(err.Error(), "7472") {
			t.Errorf("%q: a secret in %v", text, err)
		}
	}
}

// TestFaultsBesideTheFile: variables and flags are named, and a missing file.
func TestFaultsBesideTheFile(t *testing.T) {
	_, err := settings.Load(settings.Sources{
		File: "/nowhere/f.yaml", Prefix: "S_", Env: []string{"S_SIZ=1", "S_ID=x", "S_LOGIN_SECRET=bad-hunter2", "S_LOGIN_SECRET_FILE=/dev/null"},
		Flags: map[string]string{"every": "often", "size": "-3"},
	}, &sample{})
	var faults settings.Faults
	if !errors.As(err, &faults) {
		t.Fatal(err)
	}
	text := strings.Join(faults, "\n")
	for _, want := range []string{
		"/nowhere/f.yaml: reading the configuration: no such file", "environment S_SIZ: no such variable; did you mean S_SIZE?", `environment S_ID: id "x"`,
		"environment S_LOGIN_SECRET_FILE: login.secret_file: must not be given together with login.secret", `environment S_LOGIN_SECRET: login.secret "***": must be good`,
		`flag --every: every "often"`, `flag --size: size "small"`,
	} {
		if !strings.Contains(text, want) {
			t.Errorf("no fault says %s; they are:\n%s", want, text)
		}
	}
	if strings.Contains(text, "hunter2") {
		t.Errorf("a secret in\n%s", text)
	}
}

// TestReadersOfSecrets: a secret in a file that every user can use is warned
// of, another text is not.
func TestReadersOfSecrets(t *testing.T) {
	path := write(t, "name: n\nlogin: {secret: hunter2}")
	open := write(t, "hunter2")
	for _, p := range []string{path, open} {
		if err := os.Chmod(p, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	writable := write(t, "name: n\nlogin: {secret: hunter2}")
	if err := os.Chmod(writable, 0o602); err != nil {
		t.Fatal(err)
	}
	public := write(t, "name: n\nlogin: {deep: {dsn: nothing}}")
	if err := os.Chmod(public, 0o644); err != nil {
		t.Fatal(err)
	}
	for file, want := range map[string]string{
		path:     path + `:2: login.secret "***": stands in a file that every user of this host may use (mode 0644): chmod 600`,
		writable: writable + ":2:",
		public:   "",
		write(t, "name: n\nlogin: {secret_file: "+open+"}"): `login.secret_file "` + open + `": holds a secret that every user`,
	} {
		warnings, err := settings.Load(settings.Sources{File: file}, &sample{})
		if all := strings.Join(warnings, "\n"); err != nil || !strings.Contains(all, want) || (want == "" && all != "") {
			t.Errorf("%q, %v; want %q", all, err, want)
		}
	}
}
