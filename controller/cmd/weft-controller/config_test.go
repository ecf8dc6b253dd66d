package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/weft-sdn/weft/api"
	"github.com/weft-sdn/weft/controller/pki"
	"github.com/weft-sdn/weft/controller/server"
	"github.com/weft-sdn/weft/settings"
)

// install makes a folder with the certificates that every configuration needs,
// and returns a file with the text and these.
func install(t *testing.T, text string) (path string) {
	t.Helper()
	dir := t.TempDir()
	cells, err := pki.ParseCells("cell-1")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := pki.Init(pki.Request{Dir: dir, Cells: cells, ControllerNames: []string{"localhost"}, Now: time.Now()}); err != nil {
		t.Fatal(err)
	}
	path = filepath.Join(dir, "test.yaml")
	text = strings.ReplaceAll(text, "INTERNAL_TLS", "internal_tls: {cert_file: DIR/controller.crt, key_file: DIR/controller.key, ca_file: DIR/ca.crt}")
	if err := os.WriteFile(path, []byte(strings.ReplaceAll(text, "DIR", dir)), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// configure loads a file as a start with these flags does.
func configure(t *testing.T, path string, flags ...string) (server.Config, error) {
	t.Helper()
	cmd := command()
	if err := cmd.ParseFlags(flags); err != nil {
		t.Fatal(err)
	}
	config, _, err := loadConfig(cmd, path)
	return config, err
}

// TestConfig: every key, from the file, over the defaults and under environment
// and flags.
func TestConfig(t *testing.T) {
	path := install(t, `
INTERNAL_TLS
listen: 192.0.2.1:80
tls: {cert_file: DIR/controller.crt, key_file: DIR/controller.key}
internal_listen: 192.0.2.1:81
database: sqlite:///tmp/x.db
auth:
  mode: uaa
  token_file: /tmp/token
  client_ca_file: DIR/ca.crt
  uaa: {url: "https://uaa.example", client_id: us, client_secret: quiet, ca_file: DIR/ca.crt, verify: jwt}
cloud_controller: {url: "http://127.0.0.1:8080", ca_file: DIR/ca.crt}
max_policies_per_app_source: 7
enable_space_developer_self_service: true
tag_length: 1
cleanup_interval: 10m
allowed_cors_domains: ["*", "https://apps.example"]
network: [10.1.0.0/16, 10.2.0.0/16]
subnet_prefix_length: 25
lease_expiry: 24h
vni: 7
vxlan_port: 4790
log_level: debug
debug_listen: 127.0.0.1:6060
deny_networks: [169.254.169.254/32, 10.1.0.0/16, 128.0.0.0/1]
group_quarantine: 90s
`)
	dir := filepath.Dir(path)
	cert, key, ca := filepath.Join(dir, "controller.crt"), filepath.Join(dir, "controller.key"), filepath.Join(dir, "ca.crt")
	t.Setenv("WEFT_CONTROLLER_LOG_LEVEL", "error")
	t.Setenv("WEFT_CONTROLLER_AUTH_UAA_CLIENT_ID", "them")
	got, err := configure(t, path, "--listen", "127.0.0.1:0", "--log-level", "warn", "--token-file", "/tmp/other")
	want := server.Config{
		Listen: "127.0.0.1:0", TLS: server.KeyPair{Cert: cert, Key: key},
		InternalListen: "192.0.2.1:81", InternalTLS: api.KeyFiles{Cert: cert, Key: key, CA: ca}, Database: "sqlite:///tmp/x.db",
		Auth: server.Auth{
			Mode: "uaa", TokenFile: "/tmp/other", ClientCA: ca,
			UAA: server.UAA{URL: "https://uaa.example", ClientID: "them", ClientSecret: "quiet", CAFile: ca, Verify: "jwt"},
		},
		CloudController:         server.CloudController{URL: "http://127.0.0.1:8080", CAFile: ca},
		MaxPoliciesPerAppSource: 7, EnableSpaceDeveloperSelfService: true, TagLength: 1, CleanupInterval: 10 * time.Minute,
		AllowedCORSDomains: []string{"*", "https://apps.example"}, LeaseExpiry: 24 * time.Hour,
		Networks: []string{"10.1.0.0/16", "10.2.0.0/16"}, SubnetPrefix: 25, VNI: 7, VXLANPort: 4790, LogLevel: "warn", DebugListen: "127.0.0.1:6060",
		DenyNetworks: []string{"169.254.169.254/32", "10.1.0.0/16", "128.0.0.0/1"}, GroupQuarantine: 90 * time.Second,
	}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%+v, %v\nwant %+v", got, err, want)
	}
	for i, value := 0, reflect.ValueOf(want); i < value.NumField(); i++ {
		if value.Field(i).IsZero() {
			t.Errorf("the test does not set %s", value.Type().Field(i).Name)
		}
	}
}

// TestDefaults: a file needs to name only internal_tls.
func TestDefaults(t *testing.T) {
	path := install(t, "INTERNAL_TLS")
	got, err := configure(t, path)
	want := server.Default()
	want.InternalTLS = got.InternalTLS
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%+v, %v", got, err)
	}
}

// TestSecretsAreHidden: no fault, warning or log line of a start holds one,
// however the value is broken.
func TestSecretsAreHidden(t *testing.T) {
	for _, line := range []string{
		`database: "mysql://weft:hunter2@db.example:port/weft"`,
		`database: "mysql://weft:hunter2%zz@db.example/weft"`,
		`database: "mysql://weft:hun/ter2hunter2@db.example/weft"`,
		`database: "mysql://weft:hunter2@/weft?tls=perhaps"`,
		`database: "mysql://weft:hunter2@127.0.0.1:1/weft"`,
		`database: "mysql:weft:hunter2@db.example/weft"`,
		`database: ["mysql://weft:hunter2@db.example/weft"]`,
		`auth: {uaa: {url: "https://us:hunter2@uaa.example"}}`,
		`auth: {mode: uaa, uaa: {client_secret: hunter2}}`,
		`auth: {uaa: {client_secret: {hunter2: hunter2}}}`,
		`auth: {uaa: {secret: hunter2}}`,
		`cloud_controller: {url: "https://us:hunter2@api.example:port"}`,
		`database: "weft:hunter2@tcp(db.example)/weft"`,
		`password: hunter2`,
	} {
		path := install(t, "INTERNAL_TLS\nlisten: 127.0.0.1:0\ninternal_listen: 127.0.0.1:0\n"+line)
		cmd := command()
		var out bytes.Buffer
		cmd.SetOut(&out)
		cmd.SetErr(&out)
		cmd.SetArgs([]string{"--config", path, "--log-level", "debug", "--auth-token-file", filepath.Join(t.TempDir(), "token")})
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		err := cmd.ExecuteContext(ctx)
		cancel()
		if text := out.String() + fmt.Sprint(err); err == nil || strings.Contains(text, "hunter2") {
			t.Errorf("%s: %s", line, text)
		}
	}
}

// TestConfigCommand runs the scripts of testdata: bad files, and what config
// check and config show say about them.
func TestConfigCommand(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: "testdata",
		Setup: func(env *testscript.Env) error {
			cells, err := pki.ParseCells("cell-1")
			if err != nil {
				return err
			}
			_, err = pki.Init(pki.Request{Dir: env.WorkDir, Cells: cells, ControllerNames: []string{"localhost"}, Now: time.Now()})
			return err
		},
	})
}

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"weft-controller": main})
}

// TestGenerated: what is made of the keys is up to date; make golden does it.
func TestGenerated(t *testing.T) {
	config := server.Default()
	const docs, example = "../../../docs/configuration.md", "../../pki/weft-controller.yaml.tmpl"
	text, err := os.ReadFile(docs)
	if err != nil {
		t.Fatal(err)
	}
	if fresh, err := settings.Regenerate(string(text), program.Name, settings.Markdown(config.Keys())); err != nil || fresh != string(text) {
		t.Errorf("%s is stale (%v): make golden", docs, err)
	}
	if text, err := os.ReadFile(example); err != nil || string(text) != settings.Example(program.Name, config.Keys()) {
		t.Errorf("%s is stale (%v): make golden", example, err)
	}
}

// TestInitMakesAValidConfig: what init writes is what --config takes.
func TestInitMakesAValidConfig(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a: b")
	cmd := command()
	var out bytes.Buffer
	cmd.SetOut(&out)
	cmd.SetArgs([]string{"init", "--dir", dir, "--cells", "cell-1"})
	if err := cmd.Execute(); err != nil {
		t.Fatal(err)
	}
	todo := "Then: in " + dir + "/weft-agent-cell-1.yaml set underlay_ip\nThen: in " + dir + "/weft-agent-cell-1.yaml set controller to where"
	if !strings.Contains(out.String(), "made  "+dir+"/cell-1.crt") || !strings.Contains(out.String(), "Next: ") || !strings.Contains(out.String(), todo) {
		t.Errorf("output:\n%s", out.String())
	}
	config, err := configure(t, filepath.Join(dir, "weft-controller.yaml"))
	if err != nil || config.InternalTLS.CA != filepath.Join(dir, "ca.crt") || config.Database != "sqlite://"+filepath.Join(dir, "weft.db") {
		t.Errorf("%+v, %v", config, err)
	}
}

// TestInitSaysWhatIsLeft: no cell was named; and, the second time, what was
// asked for and is not done.
func TestInitSaysWhatIsLeft(t *testing.T) {
	dir := t.TempDir()
	for args, want := range map[string]string{
		"":                        "Then: no cell was named: weft-controller init --dir " + dir + " --cells CELL=UNDERLAY-IP,... adds them",
		"--controller-names x.y":  "kept  " + dir + "/controller.crt\n      NOT CHANGED: the certificate is for localhost, 127.0.0.1, not for x.y",
		"--cells cell-1=10.0.0.1": "weft-agent-cell-1.yaml set controller to where this cell reaches it",
	} {
		cmd := command()
		var out bytes.Buffer
		cmd.SetOut(&out)
		if _, err := pki.Init(pki.Request{Dir: dir, Now: time.Now()}); err != nil {
			t.Fatal(err)
		}
		cmd.SetArgs(append([]string{"init", "--dir", dir}, strings.Fields(args)...))
		if err := cmd.Execute(); err != nil || !strings.Contains(out.String(), want) {
			t.Errorf("%q: %v, output\n%s\nwant %q", args, err, out.String(), want)
		}
	}
}

// TestCommandLine: what is missing is named.
func TestCommandLine(t *testing.T) {
	for args, want := range map[string]string{
		"":                                "--config FILE is missing",
		"init":                            `required flag(s) "dir" not set`,
		"init --dir x --cells a=b":        "underlay address",
		"init --dir x --cells Cell_1":     `cell id "Cell_1"`,
		"surplus":                         "surplus",
		"init --dir x --controller-names": "needs an argument",
	} {
		cmd := command()
		cmd.SetArgs(strings.Fields(args))
		if err := cmd.Execute(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", args, err, want)
		}
	}
}
