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
		{`{"cniVersion":"1.0.0","subnetfile":1}`, `subnetFile 1: must be a string`, 7},
		{`{"Metadata":{"app_id":"x"},"ARGS":{"cni":{"Labels":"x"}}}`, `args.cni.labels "x": must be a JSON list`, 7},
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
		{`{"identity":["somewhere.app"]}`, `identity[0] "somewhere.app": must be metadata.KEY`, 7},
		{`{"identity":["metadata.app_id","args."]}`, `identity[1] "args.": must be metadata.KEY`, 7},
		{`{"identity":"metadata.app_id"}`, `identity "metadata.app_id": must be a JSON list`, 7},
		{`{"identity":["label.app"],"args":{"cni":{"labels":[{"key":"app","value":"a\nb"}]}}}`, `label.app "a\nb": must be at most`, 7},
		{`{"identity":["alias.weft"],"runtimeConfig":{"aliases":{"weft":"cats"}}}`, `runtimeConfig.aliases.weft "cats": must be a JSON list`, 7},
		{`{"identity":["alias.weft"],"runtimeConfig":{"aliases":{"weft":[" cats"]}}}`, `alias.weft " cats": must be at most`, 7},
		{`{"identity":["annotation.x/app"],"runtimeConfig":{"io.kubernetes.cri.pod-annotations":{"x/app":7}}}`, `runtimeConfig.io.kubernetes.cri.pod-annotations.x/app 7: must be a string`, 7},
		{`{"args":{"cni":{"labels":{"app":"x"}}}}`, `args.cni.labels {"app":"x"}: must be a JSON list`, 7},
		{`{"runtimeConfig":{"ips":"10.255.1.5"}}`, `runtimeConfig.ips "10.255.1.5": must be a JSON list`, 7},
		{`{"runtimeConfig":{"ips":["10.255.1.5","10.255.1.6"]}}`, `runtimeConfig.ips "10.255.1.5,10.255.1.6": must be one IPv4 address`, 7},
		{`{"runtimeConfig":{"ips":["fd00::5/64"]}}`, `runtimeConfig.ips "fd00::5/64": must be one IPv4 address`, 7},
		{`{"runtimeConfig":{"ips":["10.255.2.5/24"]}}`, `runtimeConfig.ips "10.255.2.5/24": must be inside the cell's lease 10.255.1.0/24`, 7},
		{`{"args":{"cni":{"ips":["10.255.1.0"]}}}`, `args.cni.ips "10.255.1.0": must be 10.255.1.1 to 10.255.1.254`, 7},
		{`{"runtimeConfig":{"mac":"01:00:5e:00:00:01"}}`, `runtimeConfig.mac "01:00:5e:00:00:01": must be the MAC of one station`, 7},
		{`{"runtimeConfig":{"mac":"00:00:00:00:00:00"}}`, `runtimeConfig.mac "00:00:00:00:00:00": must be`, 7},
		{`{"args":{"cni":{"mac":"02:00:00:00:01"}}}`, `args.cni.mac "02:00:00:00:01": must be`, 7},
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
		"IP=10.0.0.1":     `CNI_ARGS: IP "10.0.0.1": must be inside the cell's lease 10.255.1.0/24`,
		"IP=one":          `CNI_ARGS: IP "one": must be one IPv4 address`,
		"MAC=02-0-0":      `CNI_ARGS: MAC "02-0-0": must be the MAC of one station`,
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

		`{"subnet":"10.255.1.0/24","mtu":1450,"address_rest_ms":-1}`: `address_rest_ms -1: must be 0 or more`,
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

// TestIdentityFromWhereItIsConfigured: the first source that says something.
func TestIdentityFromWhereItIsConfigured(t *testing.T) {
	const everything = `"metadata":{"org":"m"},"args":{"cni":{"labels":[{"key":"team","value":"l"},{"key":"empty","value":""}]}},
		"runtimeConfig":{"io.kubernetes.cri.pod-annotations":{"weft.example/app":"a"},
			"aliases":{"weft":["0864a227f892","cats","c"],"other":["0864a227f892"],"none":[]}},"app":"plain"`
	for sources, want := range map[string]string{
		`[]`:                               "plain",
		`["metadata.org"]`:                 "m",
		`["metadata.app_id","label.team"]`: "l",
		`["label.empty","args.POD"]`:       "p",
		`["annotation.weft.example/app","app.x"]`:                      "", // refused
		`["annotation.weft.example/app"]`:                              "a",
		`["label.none","annotation.none","args.NONE","metadata.none"]`: "plain",
		`["alias.weft"]`: "cats", // and not the id, which podman makes an alias
		`["alias.other","alias.none","alias.nosuch"]`: "plain",
	} {
		conf, err := ParseConfig([]byte(`{"identity":` + sources + `,` + everything + `}`))
		if want == "" {
			if err == nil {
				t.Errorf("%s is not refused", sources)
			}
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		a, err := Plan(Invocation{Container: "0864a227f892ef7f", Args: "IgnoreUnknown=1;POD=p"}, conf, lease())
		if err != nil || string(a.App) != want {
			t.Errorf("%s: app %q (%v), expected %q", sources, a.App, err, want)
		}
	}
}

// TestAliasThatTheIDBeginsWith: only what podman adds is no person's alias.
func TestAliasThatTheIDBeginsWith(t *testing.T) {
	const id = "db41c9a7e2f0334455667788"
	for aliases, want := range map[string]string{
		`["db","db41c9a7e2f0"]`:         "db",
		`["db41c9a7e2f0","db"]`:         "db",
		`["d"]`:                         "d",
		`["db41c9a7e2f","x"]`:           "db41c9a7e2f",
		`["` + id + `"]`:                id,
		`["db41c9a7e2f0"]`:              "frontend",
		`["db41c9a7e2f0","somebody's"]`: "somebody's",
	} {
		conf, err := ParseConfig([]byte(`{"identity":["alias.weft"],"app":"frontend","runtimeConfig":{"aliases":{"weft":` + aliases + `}}}`))
		if err != nil {
			t.Fatal(err)
		}
		if a, err := Plan(Invocation{Container: id}, conf, lease()); err != nil || string(a.App) != want {
			t.Errorf("aliases %s: app %q (%v), expected %q", aliases, a.App, err, want)
		}
	}
}

// TestAskedAddressAndMAC: by capability, by CNI_ARGS, by the configuration, in
// this order.
func TestAskedAddressAndMAC(t *testing.T) {
	for _, c := range []struct{ config, args, ip, mac string }{
		{`{}`, "", "invalid IP", "00:00:00:00:00:00"},
		{`{"runtimeConfig":{"ips":["10.255.1.7/24"],"mac":"02:00:00:00:00:0A"},"args":{"cni":{"ips":["10.255.1.9"],"mac":"02:00:00:00:00:0c"}}}`,
			"IP=10.255.1.8;MAC=02:00:00:00:00:0b", "10.255.1.7", "02:00:00:00:00:0a"},
		{`{"runtimeConfig":{"ips":[],"mac":""},"args":{"cni":{"ips":["10.255.1.9"],"mac":"02:00:00:00:00:0c"}}}`,
			"IP=10.255.1.8;MAC=02:00:00:00:00:0b", "10.255.1.8", "02:00:00:00:00:0b"},
		{`{"args":{"cni":{"ips":["10.255.1.9"],"mac":"02:00:00:00:00:0c"}}}`, "", "10.255.1.9", "02:00:00:00:00:0c"},
		{`{"runtimeConfig":{"ips":["::ffff:10.255.1.254"]}}`, "", "10.255.1.254", "00:00:00:00:00:00"},
	} {
		conf, err := ParseConfig([]byte(c.config))
		if err != nil {
			t.Fatal(err)
		}
		a, err := Plan(Invocation{Args: c.args}, conf, lease())
		if err != nil || a.Wanted.String() != c.ip || a.MAC.String() != c.mac {
			t.Errorf("%s with %q: %v and %v (%v), expected %s and %s", c.config, c.args, a.Wanted, a.MAC, err, c.ip, c.mac)
		}
	}
}

// TestRefusingCellSaysWhy: in the agent's words, as something that may pass.
func TestRefusingCellSaysWhy(t *testing.T) {
	path := filepath.Join(t.TempDir(), "subnet.json")
	for text, code := range map[string]uint{
		`{"cell":"cell-1","subnet":"10.255.0.1/32","refuse":"it is being drained"}`:  types.ErrTryAgainLater,
		`{"cell":"cell-1","refuse":"it is being drained","limited":true,"mtu":1450}`: types.ErrLimitedConnectivity,
	} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := ReadLease(path)
		var coded *types.Error
		if !errors.As(err, &coded) || coded.Code != code || coded.Msg != "cell cell-1 takes no containers now: it is being drained" {
			t.Errorf("%s: %#v, expected code %d and the reason", text, err, code)
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
	a := Attachment{Container: "c", IfName: "eth0", HostName: "c1", App: "dogs", NetNS: "/n"}.At(netip.MustParsePrefix("10.255.1.0/24"), netip.MustParseAddr("10.255.1.5"))
	p := a.port("boot")
	if p.MAC != "ee:ee:0a:ff:01:05" || p.IP != a.IP || p.Container != "c" || p.App != "dogs" || p.IfName != "eth0" || p.NetNS != "/n" || p.BootID != "boot" || p.OFPortRequest != 105 {
		t.Errorf("port is %+v", p)
	}
}
