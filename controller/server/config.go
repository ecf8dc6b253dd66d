package server

import (
	"log/slog"
	"time"

	"github.com/weft-sdn/weft/api"
	"github.com/weft-sdn/weft/flows"
)

// Config is everything that a controller has to be told. The yaml key of each
// field is given.
type Config struct {
	Listen          string          // listen: host:port of the external API; port 0: any free one
	TLS             KeyPair         // tls: of the external API; none: plain HTTP
	InternalListen  string          // internal_listen: host:port for agents
	InternalTLS     api.KeyFiles    // internal_tls: cert_file, key_file, ca_file
	Database        string          // database: sqlite:///absolute/path or mysql://user:password@host:port/name; holds a secret
	Auth            Auth            // auth
	CloudController CloudController // cloud_controller
	Networks        []string        // network: overlay networks, CIDR
	SubnetPrefix    int             // subnet_prefix_length: bits of a cell's lease
	VNI             uint32          // vni: 1 to 16777215
	VXLANPort       int             // vxlan_port: UDP
	DenyNetworks    []string        // deny_networks: networks that no egress rule opens, CIDR
	LogLevel        string          // log_level: debug, info, warn or error
	DebugListen     string          // debug_listen: loopback host:port of package debug; "": none

	// MaxPoliciesPerAppSource (max_policies_per_app_source) bounds the policies
	// of one source app that callers without network.admin make. From 1.
	MaxPoliciesPerAppSource int
	// EnableSpaceDeveloperSelfService (enable_space_developer_self_service) lets
	// space developers write policies of their apps without a scope.
	EnableSpaceDeveloperSelfService bool
	// TagLength (tag_length) is the number of bytes of a group id, 1 or 2.
	TagLength int
	// CleanupInterval (cleanup_interval) is between two removals of the policies
	// of apps that Cloud Controller no longer knows; 0: never.
	CleanupInterval time.Duration
	// AllowedCORSDomains (allowed_cors_domains) are the origins of web pages that
	// may call the external API; "*" for any.
	AllowedCORSDomains []string
	// LeaseExpiry (lease_expiry) is how long a cell that is away from all
	// controllers stays in the tables of the others. From 1s.
	LeaseExpiry time.Duration
	// GroupQuarantine (group_quarantine) is how long a freed group id still
	// waits when every switch has confirmed that it no longer knows it, before
	// another app can have it. From 0.
	GroupQuarantine time.Duration
}

// KeyPair names the PEM files of a certificate and its key; both or neither.
type KeyPair struct {
	Cert string // cert_file
	Key  string // key_file
}

// The values of auth.mode: how callers of the external API prove who they are.
const (
	AuthToken = "token" // by the one token in auth.token_file
	AuthUAA   = "uaa"   // by a token of the UAA
	AuthMTLS  = "mtls"  // by a certificate that auth.client_ca_file signed
)

// The values of auth.uaa.verify: how a token of the UAA is verified.
const (
	VerifyCheckToken = "check_token" // by asking the UAA about each
	VerifyJWT        = "jwt"         // by the UAA's published keys
)

// Auth is who may call the external API.
type Auth struct {
	Mode      string // auth.mode: AuthToken, AuthUAA or AuthMTLS
	TokenFile string // auth.token_file: mode token; created at first start
	ClientCA  string // auth.client_ca_file: mode mtls; PEM file of who signs callers' certificates
	UAA       UAA    // auth.uaa
}

// UAA is the Cloud Foundry service that issues tokens, to callers and to us.
type UAA struct {
	URL          string // auth.uaa.url
	ClientID     string // auth.uaa.client_id: our own name there
	ClientSecret string // auth.uaa.client_secret: a secret
	CAFile       string // auth.uaa.ca_file: who signed its certificate; "": the system's authorities
	Verify       string // auth.uaa.verify: VerifyCheckToken or VerifyJWT
}

// CloudController is the Cloud Foundry API that knows apps, spaces, roles and
// security groups.
type CloudController struct {
	URL    string // cloud_controller.url; "": none
	CAFile string // cloud_controller.ca_file: who signed its certificate; "": the system's authorities
}

// Default is the configuration of a file that names only what has no default:
// internal_tls.
func Default() Config {
	return Config{
		Listen:         "127.0.0.1:4002",
		InternalListen: "127.0.0.1:4003",
		Database:       "sqlite:///var/lib/weft/weft.db",
		Auth: Auth{
			Mode:      AuthToken,
			TokenFile: "/var/lib/weft/token",
			UAA:       UAA{ClientID: "network-policy", Verify: VerifyCheckToken},
		},
		Networks:     []string{"10.255.0.0/16"},
		SubnetPrefix: 24,
		VNI:          1,
		VXLANPort:    4789,
		LogLevel:     "info",

		MaxPoliciesPerAppSource: 150,
		TagLength:               2,
		CleanupInterval:         time.Hour,
		LeaseExpiry:             7 * 24 * time.Hour,
		GroupQuarantine:         5 * time.Minute,
	}
}

// Level is LogLevel as slog has it; info if it is not valid.
func (c Config) Level() slog.Level {
	var level slog.Level
	if level.UnmarshalText([]byte(c.LogLevel)) != nil {
		return slog.LevelInfo
	}
	return level
}

// MaxGroup is the highest group id of TagLength bytes.
func (c Config) MaxGroup() flows.GroupID {
	return flows.GroupID(1<<(8*c.TagLength) - 1)
}
