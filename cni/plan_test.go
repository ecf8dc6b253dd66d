package cni

import (
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/containernetworking/cni/pkg/types"
)

func lease() Lease {
	return Lease{Cell: "cell-1", Subnet: netip.MustParsePrefix("10.255.1.0/24"), MTU: 1450}
}

// TestConfigErrorsNameFieldAndValue: whoever reads only the error knows which
// key to correct.
func TestConfigErrorsNameFieldAndValue(t *testing.T) {
	for _, c := range []struct {
		config string
		want   string
		code   uint
	}{
		{`{"ovsdb":"tcp:127.0.0.1:6640"}`, `ovsdb "tcp:127.0.0.1:6640": must be unix:`, 7},
		{`{"ovsdb":"unix:db.sock"}`, `ovsdb "unix:db.sock": must be unix:`, 7},
		{`{"ovsdb":17}`, `ovsdb 17: must be a string`, 7},
		{`{"bridge":""}`, `bridge "": must be 1 to 15`, 7},
		{`{"bridge":"br/weft"}`, `bridge "br/weft": must be 1 to 15`, 7},
		{`{"bridge":".."}`, `bridge "..": must be 1 to 15`, 7},
		{`{"bridge":"a-name-of-16-byt"}`, `bridge "a-name-of-16-byt": must be 1 to 15`, 7},
		{`{"subnetFile":"subnet.json"}`, `subnetFile "subnet.json": must be an absolute path`, 7},
		{`{"dataDir":"data"}`, `dataDir "data": must be an absolute path`, 7},
		{`{"mtu":100}`, `mtu 100: must be 0 (the cell's) or 576 to 65535`, 7},
		{`{"mtu":-1}`, `mtu -1: must be 0`, 7},
		{`{"mtu":65536}`, `mtu 65536: must be 0`, 7},
		{`{"mtu":1451}`, `mtu 1451: must not exceed 1450`, 7},
		{`{"mtu":"1400"}`, `mtu "1400": must be a whole number`, 7},
		{`{"mtu":1400.5}`, `mtu 1400.5: must be a whole number`, 7},
		{`{"readyTimeout":"8"}`, `readyTimeout "8": must be a duration`, 7},
		{`{"readyTimeout":"-1s"}`, `readyTimeout "-1s": must be a duration`, 7},
		{`{"readyTimeout":"2m"}`, `readyTimeout "2m": must be a duration from 100ms to 1m`, 7},
		{`{"app":"two\nlines"}`, `app "two\nlines": must be at most 255 bytes`, 7},
		{`{"app":" dogs"}`, `app " dogs": must be at most 255 bytes`, 7},
		{`{"metadata":{"app_id":5}}`, `metadata.app_id 5: must be a string`, 7},
		{`{"metadata":"cats"}`, `metadata "cats": must be a JSON object`, 7},
		{`{"metadata":{"policy_group_id":"a\u0000b"}}`, `metadata.policy_group_id "a\x00b": must be`, 7},
		{`{"metadata":{"app_id":"` + strings.Repeat("x", 256) + `"}}`, `metadata.app_id "xxx`, 7},
		{`{"metadata":{"space_id":" zoo"}}`, `metadata.space_id " zoo": must be`, 7},
		{`{"metadata":{"container_workload":"a\nb"}}`, `metadata.container_workload "a\nb": must be`, 7},
		{`{"cniVersion":1}`, `cniVersion 1: must be a string`, 7},
		{`["a list"]`, `network configuration: `, 6},
		{`{"bridge":`, `network configuration: `, 6},
	} {
		conf, err := ParseConfig([]byte(c.config))
		if err == nil {
			_, err = Plan(Invocation{Container: "c", IfName: "eth0", NetNS: "/n"}, conf, lease())
		}
		var coded *types.Error
		if !errors.As(err, &coded) || coded.Code != c.code || !strings.Contains(coded.Msg, c.want) {
			t.Errorf("%s\n is refused with %#v\n expected code %d and %s", c.config, err, c.code, c.want)
		}
	}
}

func TestEveryKeyHasADefault(t *testing.T) {
	conf, err := ParseConfig([]byte(`{"cniVersion":"1.0.0","name":"weft","type":"weft-cni","somebody":"else's","ipam":{},"runtimeConfig":{"portMappings":[]}}`))
	if err != nil {
		t.Fatal(err)
	}
	a, err := Plan(Invocation{Container: "c", IfName: "eth0", NetNS: "/n"}, conf, lease())
	if err != nil || conf.OVSDB != "unix:/run/openvswitch/db.sock" || conf.SubnetFile != "/run/weft/subnet.json" ||
		conf.DataDir != "/run/weft/addresses" || conf.ReadyTimeout.String() != "8s" || a.Bridge != "br-weft" || a.MTU != 1450 || a.App != "" {
		t.Errorf("plan %+v of %+v, error %v", a, conf, err)
	}
}

// TestIdentityPrecedence: what Cloud Foundry says, then the runtime's
// arguments, then the configuration; none is isolated.
func TestIdentityPrecedence(t *testing.T) {
	group, app, arg, plain := `"policy_group_id":"group"`, `"app_id":"app"`, "WEFT_APP=arg", `"app":"plain"`
	for _, c := range []struct{ config, args, want string }{
		{`{"metadata":{` + group + `,` + app + `},` + plain + `}`, arg, "group"},
		{`{"metadata":{"policy_group_id":"",` + app + `},` + plain + `}`, arg, "app"},
		{`{"metadata":{` + app + `},` + plain + `}`, arg, "app"},
		{`{"metadata":{},` + plain + `}`, "K8S_POD_NAME=x;" + arg + ";IgnoreUnknown=1", "arg"},
		{`{` + plain + `}`, arg, "arg"},
		{`{` + plain + `}`, "", "plain"},
		{`{` + plain + `}`, "WEFT_APP=", "plain"},
		{`{}`, "", ""},
	} {
		conf, err := ParseConfig([]byte(c.config))
		if err != nil {
			t.Fatal(err)
		}
		a, err := Plan(Invocation{Args: c.args}, conf, lease())
		if err != nil || string(a.App) != c.want {
			t.Errorf("%s with CNI_ARGS %q: app %q (%v), expected %q", c.config, c.args, a.App, err, c.want)
		}
	}
}

func TestArgsErrorsNameTheArgument(t *testing.T) {
	conf, err := ParseConfig([]byte(`{}`))
	if err != nil {
		t.Fatal(err)
	}
	for args, want := range map[string]string{
		"WEFT_APP":        `CNI_ARGS: "WEFT_APP": must be KEY=VALUE`,
		"A=B;nonsense":    `CNI_ARGS: "nonsense": must be KEY=VALUE`,
		"WEFT_APP=a\x01b": `CNI_ARGS: WEFT_APP "a\x01b": must be`,
	} {
		_, err := Plan(Invocation{Args: args}, conf, lease())
		var coded *types.Error
		if !errors.As(err, &coded) || coded.Code != types.ErrInvalidEnvironmentVariables || !strings.Contains(coded.Msg, want) {
			t.Errorf("CNI_ARGS %q: %v, expected code 4 and %s", args, err, want)
		}
	}
}

func TestLeaseErrorsNameFieldAndValue(t *testing.T) {
	path := filepath.Join(t.TempDir(), "subnet.json")
	for text, want := range map[string]string{
		``:                                     "not the JSON",
		`{"subnet":"10.255.1.0/24","mtu":"x"}`: "not the JSON",
		`{"cell":"cell-1","mtu":1450}`:         `subnet ""`,
		`{"subnet":"10.255.1.0","mtu":1450}`:   `subnet "10.255.1.0"`,
		`{"subnet":"10.255.1.7/24","mtu":1}`:   `subnet "10.255.1.7/24": must be the network's address, 10.255.1.0/24`,
		`{"subnet":"10.255.1.0/31","mtu":1}`:   `subnet "10.255.1.0/31": must be IPv4, /8 to /30`,
		`{"subnet":"fd00::/64","mtu":1450}`:    `subnet "fd00::/64": must be IPv4`,
		`{"subnet":"10.255.1.0/24"}`:           `mtu 0: must be 576`,
		`{"subnet":"10.255.1.0/24","mtu":99}`:  `mtu 99: must be 576`,
	} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := ReadLease(path)
		var coded *types.Error
		if !errors.As(err, &coded) || coded.Code != CodeLease || !strings.Contains(coded.Msg, want) || !strings.Contains(coded.Msg, path) {
			t.Errorf("subnet file %q: %v, expected code %d, the path and %s", text, err, CodeLease, want)
		}
	}
}

// TestHostNamesAreDistinctAndBare: OVS prints letters and digits unquoted, and
// Linux takes 15 bytes.
func TestHostNamesAreDistinctAndBare(t *testing.T) {
	seen := map[string]string{}
	for _, id := range [][2]string{{"a", "eth0"}, {"a", "eth1"}, {"ae", "th0"}, {"b", "eth0"}, {strings.Repeat("f", 64), "eth0"}} {
		name := hostName(id[0], id[1])
		if !regexp.MustCompile(`^c[0-9a-f]{12}$`).MatchString(name) || seen[name] != "" || name != hostName(id[0], id[1]) {
			t.Errorf("%q of %q (also of %q)", name, id, seen[name])
		}
		seen[name] = id[0]
	}
}

func TestAddressFollowsIntoMACAndPort(t *testing.T) {
	a := Attachment{Container: "c", IfName: "eth0", HostName: "c1", App: "dogs", NetNS: "/n"}.At(netip.MustParseAddr("10.255.1.5"))
	p := a.port("boot")
	if p.MAC != "ee:ee:0a:ff:01:05" || p.IP != a.IP || p.Container != "c" || p.App != "dogs" || p.IfName != "eth0" || p.NetNS != "/n" || p.BootID != "boot" {
		t.Errorf("port is %+v", p)
	}
}

// TestLeaseIsUsedToTheLastAddress: all but the first and the last, each once,
// round and round, and an address rests while others are free.
func TestLeaseIsUsedToTheLastAddress(t *testing.T) {
	a := addresses{t.TempDir(), "br-weft"}
	l := Lease{Subnet: netip.MustParsePrefix("10.255.1.8/29")}
	var got []string
	for _, id := range []string{"1", "2", "3", "4", "5", "6"} {
		ip, err := a.reserve(l, id, "eth0")
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, ip.String())
	}
	if want := "10.255.1.9 10.255.1.10 10.255.1.11 10.255.1.12 10.255.1.13 10.255.1.14"; strings.Join(got, " ") != want {
		t.Errorf("reserved %v, expected %s", got, want)
	}
	_, err := a.reserve(l, "7", "eth0")
	var coded *types.Error
	if !errors.As(err, &coded) || coded.Code != CodeExhausted || !strings.Contains(coded.Msg, "10.255.1.8/29 is exhausted") {
		t.Errorf("the seventh: %v", err)
	}
	for _, id := range []string{"2", "5"} {
		if err := a.release(id, "eth0"); err != nil {
			t.Fatal(err)
		}
	}
	first, err1 := a.reserve(l, "8", "eth0")
	second, err2 := a.reserve(l, "9", "eth0")
	if err1 != nil || err2 != nil || first.String() != "10.255.1.10" || second.String() != "10.255.1.13" {
		t.Errorf("after two were released: %v %v (%v, %v)", first, second, err1, err2)
	}
	if err := errors.Join(a.release("5", "eth0"), addresses{"/nonexistent", "x"}.release("5", "eth0")); err != nil {
		t.Errorf("releasing what is not held: %v", err)
	}
}
