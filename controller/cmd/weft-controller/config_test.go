package main

import (
	"bytes"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/weft-sdn/weft/api"
	"github.com/weft-sdn/weft/controller/server"
)

func configure(t *testing.T, text string, flags overrides) (server.Config, error) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "weft-controller.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return loadConfig(path, flags)
}

// TestConfig: defaults, then the file, then flags.
func TestConfig(t *testing.T) {
	got, err := configure(t, `
listen: 192.0.2.1:80
internal_listen: 192.0.2.1:81
internal_tls: {cert_file: c, key_file: k, ca_file: a}
database: sqlite:///tmp/x.db
auth: {mode: token, token_file: /tmp/token}
network: [10.1.0.0/16, 10.2.0.0/16]
subnet_prefix_length: 25
vni: 7
vxlan_port: 4790
log_level: debug
deny_networks: [169.254.169.254/32, 10.1.0.0/16, 128.0.0.0/1]
group_quarantine: 90s
`, overrides{listen: "127.0.0.1:0", logLevel: "warn"})
	want := server.Default()
	want = server.Config{
		MaxPoliciesPerAppSource: 150, TagLength: 2, CleanupInterval: time.Hour, LeaseExpiry: want.LeaseExpiry,
		Listen: "127.0.0.1:0", InternalListen: "192.0.2.1:81", InternalTLS: api.KeyFiles{Cert: "c", Key: "k", CA: "a"},
		Database: "sqlite:///tmp/x.db", Auth: server.Auth{Mode: "token", TokenFile: "/tmp/token", UAA: want.Auth.UAA},
		Networks: []string{"10.1.0.0/16", "10.2.0.0/16"}, SubnetPrefix: 25, VNI: 7, VXLANPort: 4790, LogLevel: "warn",
		DenyNetworks: []string{"169.254.169.254/32", "10.1.0.0/16", "128.0.0.0/1"}, GroupQuarantine: 90 * time.Second,
	}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%+v, %v\nwant %+v", got, err, want)
	}
	least, err := configure(t, "internal_tls: {cert_file: c, key_file: k, ca_file: a}", overrides{})
	want = server.Default()
	want.InternalTLS = api.KeyFiles{Cert: "c", Key: "k", CA: "a"}
	if err != nil || !reflect.DeepEqual(least, want) {
		t.Errorf("defaults: %+v, %v", least, err)
	}
}

// TestConfigFaults: every fault at once, with key and value.
func TestConfigFaults(t *testing.T) {
	_, err := configure(t, `
listen: 4002
internal_tls: {cert_file: c, key_file: k, ca_file: a, colour: blue}
network: 10.255.0.0/16
vni: 1e1
vxlan_port: "4789"
auth: {mode: mtls}
uaa: {url: x}
deny_networks: [10.1.2.3/8, fd00::/8, 0.0.0.0/0]
group_quarantine: -1s
`, overrides{database: "postgres://x"})
	if err == nil {
		t.Fatal("accepted")
	}
	for _, want := range []string{
		"weft-controller.yaml", `listen "4002": must be text`, `internal_tls.colour "blue": no such key; keys are`, `network "10.255.0.0/16": must be a list`,
		`vni "10": must be a whole number`, `vxlan_port "4789": must be a whole number`, `auth.client_ca_file ""`, `uaa.url "x": no such key`, `database "postgres://x"`,
		`deny_networks "10.1.2.3/8": must be an IPv4 network`, `deny_networks "fd00::/8"`, `deny_networks "0.0.0.0/0": must be longer than /0`, `group_quarantine "-1s": must be 0s or longer`,
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("no fault says %s; they are:\n%v", want, err)
		}
	}
	if _, err := configure(t, "group_quarantine: 5", overrides{}); err == nil || !strings.Contains(err.Error(), `group_quarantine "5": must be a duration with its unit`) {
		t.Errorf("a duration without unit: %v", err)
	}
	if _, err := configure(t, "listen: [", overrides{}); err == nil || !strings.Contains(err.Error(), "weft-controller.yaml") {
		t.Errorf("not YAML: %v", err)
	}
	if _, err := loadConfig("/nowhere/x.yaml", overrides{}); err == nil || !strings.Contains(err.Error(), "/nowhere/x.yaml") {
		t.Errorf("no file: %v", err)
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
	if !strings.Contains(out.String(), "made  "+dir+"/cell-1.crt") || !strings.Contains(out.String(), "Next: ") {
		t.Errorf("output:\n%s", out.String())
	}
	config, err := loadConfig(filepath.Join(dir, "weft-controller.yaml"), overrides{})
	if err != nil || config.InternalTLS.CA != filepath.Join(dir, "ca.crt") || config.Database != "sqlite://"+filepath.Join(dir, "weft.db") {
		t.Errorf("%+v, %v", config, err)
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
