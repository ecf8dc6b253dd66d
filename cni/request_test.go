package cni

import (
	"errors"
	"strings"
	"testing"

	"github.com/containernetworking/cni/pkg/types"

	"github.com/weft-sdn/weft/ovsdb"
)

// TestRequestsOfBothWorlds: Cloud Foundry's Garden and the CNI convention write
// the same in their own words.
func TestRequestsOfBothWorlds(t *testing.T) {
	const rules = `[
		{"protocol":1,"networks":[{"start":"10.0.0.1","end":"10.0.0.9"},{"start":"192.0.2.7"}],"ports":[{"start":443,"end":443},{"start":8080,"end":8090}],"log":true},
		{"protocol":2,"networks":[{"end":"169.254.0.9"}],"ports":[{"end":53}]},
		{"protocol":3,"networks":[{"start":"0.0.0.0","end":"255.255.255.255"}],"icmps":{"type":8,"code":0}},
		{"protocol":3,"networks":[{"start":"192.0.2.1"}],"icmps":{"type":3}},
		{"protocol":3,"networks":[{"start":"192.0.2.2"}],"icmps":{"code":0}},
		{"protocol":3,"networks":[{"start":"192.0.2.3"}],"icmps":{"type":255,"code":255}},
		{"protocol":3,"networks":[{"start":"192.0.2.4"}],"icmps":{"type":-1,"code":-1}},
		{"networks":[{"start":"::ffff:192.0.2.5","end":""}]}]`
	const text = "all 192.0.2.5; " +
		"icmp 0.0.0.0-255.255.255.255 8/0; icmp 192.0.2.1 3/*; icmp 192.0.2.2 0/0; icmp 192.0.2.3 */*; icmp 192.0.2.4 */*; " +
		"tcp 10.0.0.1-10.0.0.9 443 log; tcp 10.0.0.1-10.0.0.9 8080-8090 log; tcp 192.0.2.7 443 log; tcp 192.0.2.7 8080-8090 log; " +
		"udp 169.254.0.9 53"
	for _, c := range []struct{ config, ports, egress string }{
		{`{}`, "", ""},
		{`{"runtimeConfig":null}`, "", ""},
		{`{"runtimeConfig":{"portMappings":null,"netOutRules":null,"bandwidth":null,"dns":{}}}`, "", ""},
		{`{"runtimeConfig":{"portMappings":[],"netOutRules":[]}}`, "", ""},
		{`{"runtimeConfig":{"portMappings":[{"host_port":61001,"container_port":2222},{"host_port":61000,"container_port":8080}]}}`, "61000:8080/tcp,61001:2222/tcp", ""},
		{`{"runtimeConfig":{"portMappings":[{"hostPort":53,"containerPort":5353,"protocol":"UDP","hostIP":"0.0.0.0"},{"hostPort":53,"containerPort":5353,"protocol":"tcp","hostIP":""}]}}`, "53:5353/tcp,53:5353/udp", ""},
		{`{"runtimeConfig":{"port_mappings":[{"hostPort":1,"containerPort":65535}]}}`, "1:65535/tcp", ""},
		{`{"runtimeConfig":{"netOutRules":` + rules + `}}`, "", text},
		{`{"runtimeConfig":{"netout_rules":` + rules + `}}`, "", text},
		{`{"netOutRules":` + rules + `}`, "", text},
		{`{"netOutRules":` + rules + `,"runtimeConfig":{"netOutRules":null}}`, "", text},
		{`{"netOutRules":` + rules + `,"runtimeConfig":{"netOutRules":[]}}`, "", ""},
		{`{"netOutRules":` + rules + `,"runtimeConfig":{"netOutRules":[{"networks":[{"start":"192.0.2.5"}]}]}}`, "", "all 192.0.2.5"},
		{`{"runtimeConfig":{"net_out_rules":` + strings.NewReplacer("protocol", "Protocol", "icmps", "ICMPs", "start", "Start").Replace(rules) + `}}`, "", text},
	} {
		conf, err := ParseConfig([]byte(c.config))
		if err != nil {
			t.Errorf("%s: %v", c.config, err)
			continue
		}
		a, err := Plan(Invocation{}, conf, lease())
		if got := ovsdb.FormatMappings(a.Mappings); err != nil || got != c.ports {
			t.Errorf("%s\n maps %q (%v), expected %q", c.config, got, err, c.ports)
		}
		if string(a.Egress) != c.egress {
			t.Errorf("%s\n opens %q\n expected %q", c.config, a.Egress, c.egress)
		}
	}
}

// TestLimitsAreEverybodysOrTheContainersOwn: in kbit from the configuration, in
// bits from the runtime, which wins.
func TestLimitsAreEverybodysOrTheContainersOwn(t *testing.T) {
	limit := func(rate, burst uint32) ovsdb.Limit { return ovsdb.Limit{RateKbps: rate, BurstKb: burst} }
	for config, want := range map[string]ovsdb.Limits{
		`{}`:                     {},
		`{"rate":0,"burst":0}`:   {},
		`{"rate":10,"burst":20}`: {In: limit(10, 20), Out: limit(10, 20)},
		`{"runtimeConfig":{"bandwidth":{"ingressRate":10000,"ingressBurst":20000,"egressRate":30000,"egressBurst":40000}}}`: {In: limit(10, 20), Out: limit(30, 40)},
		`{"runtimeConfig":{"bandwidth":{"ingressRate":1001,"ingressBurst":1}}}`:                                             {In: limit(2, 1)},
		`{"rate":10,"burst":20,"runtimeConfig":{"bandwidth":{"egressRate":1000,"egressBurst":1000}}}`:                       {Out: limit(1, 1)},
		`{"rate":10,"burst":20,"runtimeConfig":{"bandwidth":{"egressRate":0}}}`:                                             {In: limit(10, 20), Out: limit(10, 20)},
		`{"rate":34359737,"burst":34359737}`:                                                                                {In: limit(34359737, 34359737), Out: limit(34359737, 34359737)},
	} {
		conf, err := ParseConfig([]byte(config))
		if err != nil {
			t.Errorf("%s: %v", config, err)
			continue
		}
		if a, err := Plan(Invocation{}, conf, lease()); err != nil || a.Limits != want {
			t.Errorf("%s: limits %+v (%v), expected %+v", config, a.Limits, err, want)
		}
	}
}

// TestRequestErrorsNameFieldAndValue: whoever reads only the error knows which
// key of which item to correct.
func TestRequestErrorsNameFieldAndValue(t *testing.T) {
	ports := func(items string) string { return `{"runtimeConfig":{"portMappings":` + items + `}}` }
	rules := func(items string) string { return `{"runtimeConfig":{"netOutRules":` + items + `}}` }
	const good, net = `{"host_port":61000,"container_port":8080},`, `"networks":[{"start":"192.0.2.1"}]`
	for _, c := range []struct{ config, want string }{
		{`{"runtimeConfig":"x"}`, `runtimeConfig "x": must be a JSON object`},
		{ports(`"x"`), `runtimeConfig.portMappings "x": must be a JSON list`},
		{ports(`[` + good + `7]`), `runtimeConfig.portMappings[1] 7: must be a JSON object`},
		{ports(`[{"host_port":"61000","container_port":8080}]`), `runtimeConfig.portMappings[0].host_port "61000": must be a whole number`},
		{ports(`[` + good + `{"host_port":0,"container_port":8080}]`), `runtimeConfig.portMappings[1].host_port 0: cannot allocate port 0`},
		{ports(`[{"container_port":8080}]`), `runtimeConfig.portMappings[0].hostPort 0: cannot allocate port 0`},
		{ports(`[{"hostPort":65536,"containerPort":8080}]`), `runtimeConfig.portMappings[0].hostPort 65536: must be 1 to 65535`},
		{ports(`[{"hostPort":-1,"containerPort":8080}]`), `runtimeConfig.portMappings[0].hostPort -1: must be 1 to 65535`},
		{ports(`[{"host_port":61000,"container_port":0}]`), `runtimeConfig.portMappings[0].container_port 0: must be 1 to 65535`},
		{ports(`[{"hostPort":61000}]`), `runtimeConfig.portMappings[0].containerPort 0: must be 1 to 65535`},
		{ports(`[{"hostPort":61000,"containerPort":1,"protocol":"sctp"}]`), `runtimeConfig.portMappings[0].protocol "sctp": must be tcp or udp`},
		{ports(`[{"hostPort":61000,"containerPort":1,"hostIP":"192.0.2.1"}]`), `runtimeConfig.portMappings[0].hostIP "192.0.2.1": must be empty or 0.0.0.0`},
		{ports(`[{"hostPort":61000,"containerPort":1,"hostIP":"::"}]`), `runtimeConfig.portMappings[0].hostIP "::": must be empty or 0.0.0.0`},
		{ports(`[` + good + `{"host_port":61000,"container_port":8081}]`), `runtimeConfig.portMappings[1].host_port 61000: is mapped twice for tcp`},

		{rules(`{}`), `runtimeConfig.netOutRules {}: must be a JSON list`},
		{rules(`[{"protocol":"tcp"}]`), `runtimeConfig.netOutRules[0].protocol "tcp": must be a whole number`},
		{rules(`[{"protocol":4,` + net + `}]`), `runtimeConfig.netOutRules[0].protocol 4: must be 0 (all), 1 (tcp), 2 (udp) or 3 (icmp)`},
		{rules(`[{"protocol":-1,` + net + `}]`), `runtimeConfig.netOutRules[0].protocol -1: must be 0`},
		{rules(`[{"protocol":0}]`), `runtimeConfig.netOutRules[0].networks []: must name at least one`},
		{rules(`[{"protocol":0,"networks":[{}]}]`), `runtimeConfig.netOutRules[0].networks[0] {}: must have start, end or both`},
		{rules(`[{"protocol":0,"networks":[{"start":"192.0.2.1"},{"start":"fd00::1"}]}]`), `runtimeConfig.netOutRules[0].networks[1].start "fd00::1": is IPv6`},
		{rules(`[{"protocol":0,"networks":[{"start":"192.0.2.1","end":"::"}]}]`), `runtimeConfig.netOutRules[0].networks[0].end "::": is IPv6`},
		{rules(`[{"protocol":0,"networks":[{"start":"10.0.0.0/8"}]}]`), `runtimeConfig.netOutRules[0].networks[0].start "10.0.0.0/8": must be an IPv4 address`},
		{rules(`[{"protocol":0,"networks":[{"start":"192.0.2.2","end":"192.0.2.1"}]}]`), `runtimeConfig.netOutRules[0].networks[0].start "192.0.2.2": must not be above end 192.0.2.1`},
		{rules(`[{"protocol":1,` + net + `}]`), `runtimeConfig.netOutRules[0].ports []: must name at least one`},
		{rules(`[{"protocol":2,` + net + `,"ports":[{}]}]`), `runtimeConfig.netOutRules[0].ports[0].start 0: must be 1 to 65535`},
		{rules(`[{"protocol":1,` + net + `,"ports":[{"start":1,"end":65536}]}]`), `runtimeConfig.netOutRules[0].ports[0].end 65536: must be 1 to 65535`},
		{rules(`[{"protocol":1,` + net + `,"ports":[{"start":2,"end":1}]}]`), `runtimeConfig.netOutRules[0].ports[0].start 2: must not be above end 1`},
		{rules(`[{"protocol":0,` + net + `,"ports":[{"start":1}]}]`), `runtimeConfig.netOutRules[0].ports of protocol 0: must not be there`},
		{rules(`[{"protocol":3,` + net + `,"icmps":{"type":8},"ports":[{"start":1}]}]`), `runtimeConfig.netOutRules[0].ports of protocol 3: must not be there`},
		{rules(`[{"protocol":3,` + net + `}]`), `runtimeConfig.netOutRules[0].icmps null: must be there for icmp`},
		{rules(`[{"protocol":3,` + net + `,"icmps":{"type":256}}]`), `runtimeConfig.netOutRules[0].icmps.type 256: must be 0 to 254`},
		{rules(`[{"protocol":3,` + net + `,"icmps":{"type":8,"code":-2}}]`), `runtimeConfig.netOutRules[0].icmps.code -2: must be 0 to 254`},

		{`{"netOutRules":{}}`, `netOutRules {}: must be a JSON list`},
		{`{"netOutRules":[{"protocol":1,` + net + `}],"runtimeConfig":{"netOutRules":[]}}`, `netOutRules[0].ports []: must name at least one`},

		{`{"rate":10}`, `burst 0: must be set, as rate is`},
		{`{"burst":10}`, `rate 0: must be set, as burst is`},
		{`{"rate":-1,"burst":1}`, `rate -1: must be 0 (no limit) to 34359737`},
		{`{"rate":1,"burst":34359738}`, `burst 34359738: must be 0`},
		{`{"rate":"10mbit"}`, `rate "10mbit": must be a whole number`},
		{`{"runtimeConfig":{"bandwidth":[]}}`, `runtimeConfig.bandwidth []: must be a JSON object`},
		{`{"runtimeConfig":{"bandwidth":{"ingressRate":1.5}}}`, `runtimeConfig.bandwidth.ingressRate 1.5: must be a whole number`},
		{`{"runtimeConfig":{"bandwidth":{"ingressRate":1000}}}`, `runtimeConfig.bandwidth.ingressBurst 0: must be set, as runtimeConfig.bandwidth.ingressRate is`},
		{`{"runtimeConfig":{"bandwidth":{"egressBurst":1000}}}`, `runtimeConfig.bandwidth.egressRate 0: must be set`},
		{`{"runtimeConfig":{"bandwidth":{"egressRate":34359737001,"egressBurst":1}}}`, `runtimeConfig.bandwidth.egressRate 34359737001: must be 0 (no limit) to 34359737000`},
	} {
		_, err := ParseConfig([]byte(c.config))
		var coded *types.Error
		if !errors.As(err, &coded) || coded.Code != types.ErrInvalidNetworkConfig || !strings.Contains(coded.Msg, c.want) {
			t.Errorf("%s\n is refused with %#v\n expected code 7 and %s", c.config, err, c.want)
		}
		if _, err := parsePlaces([]byte(c.config)); err != nil {
			t.Errorf("%s\n keeps a container from being removed: %v", c.config, err)
		}
	}
}
