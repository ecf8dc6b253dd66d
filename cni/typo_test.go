package cni

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/containernetworking/cni/pkg/types"
)

// TestMisspeltKeysAreRefused: with the key that was probably meant; a container
// can be removed all the same.
func TestMisspeltKeysAreRefused(t *testing.T) {
	for config, want := range map[string]string{
		`{"identiy":["alias.weft"]}`:                   `identiy ["alias.weft"]: is no key of weft-cni; did you mean identity?`,
		`{"aps":"dogs"}`:                               `aps "dogs": is no key of weft-cni; did you mean app?`,
		`{"apps":"dogs"}`:                              `apps "dogs": is no key of weft-cni; did you mean app?`,
		`{"capabilites":{"aliases":true}}`:             `capabilites {"aliases":true}: is no key of weft-cni; did you mean capabilities?`,
		`{"netOutRule":[]}`:                            `netOutRule []: is no key of weft-cni; did you mean netOutRules?`,
		`{"net_out_rules":[]}`:                         `net_out_rules []: is no key of weft-cni; did you mean netOutRules?`,
		`{"brige":"br-weft"}`:                          `brige "br-weft": is no key of weft-cni; did you mean bridge?`,
		`{"birdge":"br-weft"}`:                         `birdge "br-weft": is no key of weft-cni; did you mean bridge?`,
		`{"mut":1400}`:                                 `mut 1400: is no key of weft-cni; did you mean mtu?`,
		`{"ready_timeout":"8s"}`:                       `ready_timeout "8s": is no key of weft-cni; did you mean readyTimeout?`,
		`{"data-dir":"/x"}`:                            `data-dir "/x": is no key of weft-cni; did you mean dataDir?`,
		`{"meta":{},"metdata":{"app_id":"x"}}`:         `metdata {"app_id":"x"}: is no key of weft-cni; did you mean metadata?`,
		`{"capabilities":{"alias":true}}`:              `capabilities.alias true: is no key of weft-cni; did you mean aliases?`,
		`{"capabilities":{"portMapping":true}}`:        `capabilities.portMapping true: is no key of weft-cni; did you mean portMappings?`,
		`{"args":{"cni":{"label":[{"key":"a"}]}}}`:     `args.cni.label [{"key":"a"}]: is no key of weft-cni; did you mean labels?`,
		`{"args":{"cni":{"ip":["10.255.1.5"]}}}`:       `args.cni.ip ["10.255.1.5"]: is no key of weft-cni; did you mean ips?`,
		`{"bridge":"br-weft","burts":1,"rate":1}`:      `burts 1: is no key of weft-cni; did you mean burst?`,
		`{"sub_net_file":"/run/weft/subnet.json"}`:     `sub_net_file "/run/weft/subnet.json": is no key of weft-cni; did you mean subnetFile?`,
		`{"Identitiy":["alias.weft"],"identify":true}`: `Identitiy ["alias.weft"]: is no key of weft-cni; did you mean identity?`,
	} {
		_, err := ParseConfig([]byte(config))
		var coded *types.Error
		if !errors.As(err, &coded) || coded.Code != types.ErrInvalidNetworkConfig || !strings.HasPrefix(coded.Msg, want) {
			t.Errorf("%s: %v, expected code 7 and %s", config, err, want)
		}
		if _, err := parsePlaces([]byte(config)); err != nil {
			t.Errorf("%s keeps a container from being removed: %v", config, err)
		}
	}
}

// foreign are keys of others: of the specification and its conventions, of
// runtimes, of the plugins of the CNI project and of Cloud Foundry, and of other
// networks whose configuration somebody may have started from.
const foreign = `cniVersion cniVersions name type capabilities ipam dns disableCheck disableGC loadOnlyInlinedPlugins plugins cni.dev/attachments cni.dev/valid-attachments
	args runtimeConfig prevResult metadata network podman_labels nerdctlID nerdctlLabels
	isGateway isDefaultGateway forceAddress ipMasq ipMasqBackend hairpinMode promiscMode vlan vlanTrunk vlanId preserveDefaultVlan macspoofchk
	disableContainerInterface portIsolation uplinkInterface master mode linkInContainer device hwaddr kernelpath pciBusID backend snat masqAll
	markMasqBit externalSetMarkChain conditionsV4 conditionsV6 sysctl mac promisc allmulti txQLen iptablesAdminChainName firewalldZone ingressPolicy table
	ingressRate ingressBurst egressRate egressBurst unshapedSubnets shapedSubnets delegate delegates routes ranges gateway subnet rangeStart rangeEnd
	datastore datastore_type iptables_lock_file instance_address no_masquerade_cidr_range temporary_underlay_interface_names underlay_ips
	ingress_tag vtep_name deny_networks dns_servers host_tcp_services host_udp_services outbound_connections iptables_asg_logging iptables_c2c_logging
	daemonPort bandwidthLimits log_level logLevel logFile logToStderr log_file_path nodename kubernetes policy container_settings kubeconfig confDir cniDir binDir
	clusterNetwork defaultNetworks systemNamespaces readinessindicatorfile namespaceIsolation vethPrefix eniMTU pluginLogFile pluginLogLevel
	enable-debug log-file chaining-mode tags options map maps apply agent state data owner`

// TestForeignKeysAreIgnored: with nothing of ours there that they could be.
func TestForeignKeysAreIgnored(t *testing.T) {
	ours := map[string]bool{"args": true, "runtimeConfig": true, "prevResult": true, "metadata": true, "capabilities": true, "ipam": true, "dns": true,
		"cniVersion": true, "name": true, "type": true, "cni.dev/valid-attachments": true}
	for _, key := range strings.Fields(foreign) {
		if ours[key] {
			continue // and of the right type
		}
		for _, value := range []any{"x", 1, true, []any{}, map[string]any{}} {
			text, err := json.Marshal(map[string]any{key: value, "args": map[string]any{key: value}})
			if err != nil {
				t.Fatal(err)
			}
			if _, err := ParseConfig(text); err != nil {
				t.Errorf("%s: %v", text, err)
			}
		}
	}
	for _, config := range []string{
		`{"MTU":1400,"Bridge":"br-weft","DATADIR":"/x"}`, // as encoding/json reads them
		`{"app":"dogs","apps":["dogs"],"bridge":"br-weft","bridge2":"br-other"}`,
		`{"capabilities":{"dns":true,"ipRanges":true,"deviceID":true,"cgroupPath":true,"infinibandGUID":true,"tuning":true,"CgroupPath":true}}`,
		`{"capabilities":null,"args":null}`, `{"args":{"cni":null}}`, `{"args":{"CNI":{"labels":[]},"org.example":{"label":1}}}`,
		`{"metadata":{"ap_id":"x"},"runtimeConfig":{"portMapping":[],"ip":"x","alias":{}}}`,
	} {
		if _, err := ParseConfig([]byte(config)); err != nil {
			t.Errorf("%s: %v", config, err)
		}
	}
}

// TestMisspeltArgs: of CNI_ARGS, where case counts; what runtimes pass is theirs.
func TestMisspeltArgs(t *testing.T) {
	const kubernetes = "IgnoreUnknown=1;K8S_POD_NAMESPACE=ns;K8S_POD_NAME=pod;K8S_POD_INFRA_CONTAINER_ID=x;K8S_POD_UID=u"
	for _, c := range []struct{ config, args, want string }{
		{`{}`, "WEFT_AP=dogs", `CNI_ARGS: WEFT_AP "dogs": weft-cni reads no such key; did you mean WEFT_APP?`},
		{`{}`, "IgnoreUnknown=1;WEFTAPP=dogs", `CNI_ARGS: WEFTAPP "dogs": weft-cni reads no such key; did you mean WEFT_APP?`},
		{`{}`, "weft_app=dogs", `CNI_ARGS: weft_app "dogs": weft-cni reads no such key; did you mean WEFT_APP?`},
		{`{}`, "ip=10.255.1.5", `CNI_ARGS: ip "10.255.1.5": weft-cni reads no such key; did you mean IP?`},
		{`{"identity":["args.TEAM"]}`, "TAEM=dogs", `CNI_ARGS: TAEM "dogs": weft-cni reads no such key; did you mean TEAM?`},
		{`{"identity":["args.TEAM"]}`, "WEFT_AP=dogs", ""},
		{`{"identity":["args.K8S_POD_UID"]}`, kubernetes, ""},
		{`{"identity":["args.K8S_POD_UID"]}`, kubernetes + ";K8S_POD_IP=x", ""},
		{`{}`, "WEFT_APP=cats;WEFT_APPS=dogs", ""},
		{`{}`, kubernetes, ""},
		{`{}`, "IgnoreUnknown=true;GATEWAY=10.0.0.1;ID=x;NOMAD_JOB_ID=x;NOMAD_GROUP_NAME=g;CONTAINERD_NAMESPACE=x;OWNER=x", ""},
	} {
		conf, err := ParseConfig([]byte(c.config))
		if err != nil {
			t.Fatal(err)
		}
		_, err = Plan(Invocation{Args: c.args}, conf, lease())
		var coded *types.Error
		switch {
		case c.want == "" && err != nil:
			t.Errorf("%s with CNI_ARGS %q: %v", c.config, c.args, err)
		case c.want != "" && (!errors.As(err, &coded) || coded.Code != types.ErrInvalidEnvironmentVariables || coded.Msg != c.want):
			t.Errorf("%s with CNI_ARGS %q: %v, expected code 4 and %s", c.config, c.args, err, c.want)
		}
	}
}
