package cni

import (
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/containernetworking/cni/pkg/types"

	"github.com/weft-sdn/weft/flows"
	"github.com/weft-sdn/weft/ovsdb"
)

// Config is the network configuration. Keys that it does not name are the
// runtime's or other plugins' and are ignored, unless they look like one of these.
type Config struct {
	types.PluginConf
	Places

	SubnetFile string   `json:"subnetFile"` // the cell's lease; default /run/weft/subnet.json
	Identity   []string `json:"identity"`   // where to look for the container's identity; see defaultIdentity
	App        string   `json:"app"`        // identity of containers that bring none
	MTU        int      `json:"mtu"`        // bytes; 0: the lease's, and never more than that
	Rate       int64    `json:"rate"`       // of each container, to it and from it, kbit/s; 0: no limit
	Burst      int64    `json:"burst"`      // kbit; with rate, and never without
	Ready      string   `json:"readyTimeout"`

	// NetOut says where containers may open connections out of the overlay for
	// which the runtime does not say it; absent: nowhere.
	NetOut json.RawMessage `json:"netOutRules"`

	// Metadata is what Cloud Foundry's Garden says of the container. It is a
	// top-level key of the configuration, and absent on DEL. Its space_id and
	// container_workload ("app", "task" or "staging") say which dynamic security
	// groups the container has.
	Metadata map[string]json.RawMessage `json:"metadata"`

	// Args is what whoever wrote the configuration, or a runtime, asks for by
	// the CNI conventions.
	Args struct {
		CNI struct {
			Labels []label  `json:"labels"`
			IPs    []string `json:"ips"`
			MAC    string   `json:"mac"`
		} `json:"cni"`
	} `json:"args"`

	// Runtime is what the runtime wants for this container; absent on DEL.
	Runtime json.RawMessage `json:"runtimeConfig"`

	// Requests is Runtime, read.
	Requests Requests `json:"-"`
	// Space and Workload are of Metadata.
	Space, Workload string `json:"-"`
	// Limits is what rate and burst say, or runtimeConfig.bandwidth instead.
	Limits ovsdb.Limits `json:"-"`
	// Egress is what netOutRules say, or runtimeConfig.netOutRules instead.
	Egress flows.EgressRules `json:"-"`
	// ReadyTimeout bounds ADD without its undoing; from readyTimeout, default 8s.
	ReadyTimeout time.Duration `json:"-"`
}

// Places says where things are. It is all that DEL needs to know.
type Places struct {
	OVSDB   string `json:"ovsdb"`   // ovsdb-server; default unix:/run/openvswitch/db.sock
	Bridge  string `json:"bridge"`  // default br-weft
	DataDir string `json:"dataDir"` // address reservations; default /run/weft/addresses
}

const (
	minMTU          = 576 // RFC 791: what every host must take
	maxMTU          = 65535
	minReadyTimeout = 100 * time.Millisecond
	maxReadyTimeout = time.Minute
)

// A bridge's name is a network device's, and a folder's below dataDir.
var bridgeName = regexp.MustCompile(`^[a-zA-Z0-9][a-zA-Z0-9_.-]{0,14}$`)

// ParseConfig reads and validates the network configuration that a runtime
// passes on stdin. An error names the key and its value.
func ParseConfig(stdin []byte) (Config, error) {
	places, err := parsePlaces(stdin)
	if err != nil {
		return Config{}, err
	}
	c := Config{Places: places, SubnetFile: "/run/weft/subnet.json", Ready: "8s", Identity: slices.Clone(defaultIdentity)}
	if err := json.Unmarshal(stdin, &c); err != nil {
		return Config{}, undecodable(stdin, err)
	}
	if err := c.checkSpelling(stdin); err != nil {
		return Config{}, err
	}
	return c, c.validate()
}

// parsePlaces is ParseConfig as far as DEL needs it. A mistake in the rest must
// not keep containers from being removed.
func parsePlaces(stdin []byte) (Places, error) {
	c := Places{OVSDB: "unix:/run/openvswitch/db.sock", Bridge: "br-weft", DataDir: "/run/weft/addresses"}
	if err := json.Unmarshal(stdin, &c); err != nil {
		return Places{}, undecodable(stdin, err)
	}
	path, isUnix := strings.CutPrefix(c.OVSDB, "unix:")
	switch {
	case !isUnix || !filepath.IsAbs(path):
		return Places{}, invalid("ovsdb", c.OVSDB, "must be unix: and an absolute path, such as unix:/run/openvswitch/db.sock")
	case !bridgeName.MatchString(c.Bridge):
		return Places{}, invalid("bridge", c.Bridge, "must be 1 to 15 letters, digits, '-', '_' or '.', beginning with a letter or digit")
	case !filepath.IsAbs(c.DataDir):
		return Places{}, invalid("dataDir", c.DataDir, "must be an absolute path")
	}
	return c, nil
}

func (c *Config) validate() error {
	if !filepath.IsAbs(c.SubnetFile) {
		return invalid("subnetFile", c.SubnetFile, "must be an absolute path")
	}
	if c.MTU != 0 && (c.MTU < minMTU || c.MTU > maxMTU) {
		return invalid("mtu", c.MTU, fmt.Sprintf("must be 0 (the cell's) or %d to %d", minMTU, maxMTU))
	}
	d, err := time.ParseDuration(c.Ready)
	if err != nil || d < minReadyTimeout || d > maxReadyTimeout {
		return invalid("readyTimeout", c.Ready, fmt.Sprintf("must be a duration from %s to %s, such as 8s", minReadyTimeout, maxReadyTimeout))
	}
	c.ReadyTimeout = d
	if must := identityProblem(c.App); must != "" {
		return invalid("app", c.App, must)
	}
	if err := checkIdentity(c.Identity); err != nil {
		return err
	}
	for key, into := range map[string]*string{"space_id": &c.Space, "container_workload": &c.Workload} {
		if *into, err = textOf(fromMetadata, c.Metadata, key); err != nil {
			return err
		}
		if must := identityProblem(*into); must != "" {
			return invalid(fromMetadata+"."+key, *into, must)
		}
	}
	return c.readRequests()
}

// readRequests sets Requests, Limits and Egress.
func (c *Config) readRequests() (err error) {
	if c.Limits, err = bothWays(c.Rate, c.Burst); err != nil {
		return err
	}
	if len(c.NetOut) != 0 {
		if c.Egress, err = parseNetOut(netOutRulesKeys[0], c.NetOut); err != nil {
			return err
		}
	}
	if c.Requests, err = parseRequests(c.Runtime); err != nil {
		return err
	}
	if c.Requests.Limits != (ovsdb.Limits{}) {
		c.Limits = c.Requests.Limits
	}
	if c.Requests.Egress != nil {
		c.Egress = *c.Requests.Egress
	}
	return nil
}

// undecodable names the key whose value has the wrong type.
func undecodable(stdin []byte, err error) error {
	var wrong *json.UnmarshalTypeError
	if !errors.As(err, &wrong) || wrong.Field == "" {
		return failure(types.ErrDecodingFailure, fmt.Sprintf("network configuration: %v", err), validJSON)
	}
	// The embedded struct is no key of the document.
	field := strings.TrimPrefix(wrong.Field, "PluginConf.")
	return invalid(field, rawAt(stdin, field), "must be a "+plainType(wrong))
}
