package server

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/weft-sdn/weft/controller"
	"github.com/weft-sdn/weft/controller/gormstore"
	"github.com/weft-sdn/weft/debug"
	"github.com/weft-sdn/weft/flows"
	"github.com/weft-sdn/weft/settings"
)

// faultFunc reports a key whose value is not what it must be.
type faultFunc func(key string, value any, must string)

// Validate reports all faults at once, each a settings.Fault with its key, its
// value and what the value must be. It opens no file.
func (c Config) Validate() error {
	_, err := c.overlay()
	return err
}

// overlay is the part of a valid configuration that the controller itself needs.
func (c Config) overlay() (controller.Overlay, error) {
	var faults []error
	fault := func(key string, value any, must string) {
		faults = append(faults, settings.Fault{Key: key, Value: fmt.Sprint(value), Must: must})
	}
	c.validateListeners(fault)
	c.validateAuth(fault)
	c.validateCloudController(fault)
	c.validateLimits(fault)
	if _, err := gormstore.ParseDSN(c.Database); err != nil {
		fault("database", redactURL(c.Database), err.Error())
	}
	overlay := controller.Overlay{
		Networks: c.networks(fault), SubnetPrefix: c.SubnetPrefix, VNI: flows.VNI(c.VNI), VXLANPort: uint16(c.VXLANPort),
		Deny: c.denied(fault), SecurityGroups: c.CloudController.URL != "", Quarantine: c.GroupQuarantine, LeaseExpiry: c.LeaseExpiry,
	}
	return overlay, errors.Join(faults...)
}

func (c Config) validateListeners(fault faultFunc) {
	for _, at := range []struct{ key, value string }{{"listen", c.Listen}, {"internal_listen", c.InternalListen}} {
		_, port, err := net.SplitHostPort(at.value)
		if _, notPort := strconv.ParseUint(port, 10, 16); err != nil || notPort != nil {
			fault(at.key, at.value, "must be host:port with a port from 0 to 65535, such as 127.0.0.1:4002")
		}
	}
	if c.DebugListen != "" && !debug.Local(c.DebugListen) {
		fault("debug_listen", c.DebugListen, debug.Must)
	}
	if c.Listen == c.InternalListen && !strings.HasSuffix(c.Listen, ":0") {
		fault("internal_listen", c.InternalListen, "must be another address or port than listen")
	}
	for _, pem := range []struct{ key, value string }{
		{"internal_tls.cert_file", c.InternalTLS.Cert}, {"internal_tls.key_file", c.InternalTLS.Key}, {"internal_tls.ca_file", c.InternalTLS.CA},
	} {
		if pem.value == "" {
			fault(pem.key, pem.value, "must name a PEM file; weft-controller init makes all of them")
		}
	}
	if c.TLS.Cert == "" && c.TLS.Key != "" {
		fault("tls.cert_file", "", "must name the certificate of tls.key_file")
	}
	if c.TLS.Key == "" && c.TLS.Cert != "" {
		fault("tls.key_file", "", "must name the key of tls.cert_file")
	}
}

// validateAuth looks at what the mode needs. What another mode would need may
// be there, so that a file can be switched by one word.
func (c Config) validateAuth(fault faultFunc) {
	switch c.Auth.Mode {
	case AuthToken:
		if !filepath.IsAbs(c.Auth.TokenFile) {
			fault("auth.token_file", c.Auth.TokenFile, "must be an absolute path; the file is created at first start")
		}
	case AuthUAA:
		if c.Auth.UAA.URL == "" {
			fault("auth.uaa.url", "", "must be the UAA's URL, which auth.mode uaa asks")
		}
	case AuthMTLS:
		if c.TLS.Cert == "" && c.TLS.Key == "" {
			fault("tls.cert_file", "", "must name a PEM file: auth.mode mtls needs TLS")
		}
	default:
		fault("auth.mode", c.Auth.Mode, "must be token, uaa or mtls")
	}
	uaa := c.Auth.UAA
	if uaa.URL != "" {
		validateURL(fault, "auth.uaa.url", uaa.URL)
	}
	if uaa.Verify != VerifyCheckToken && uaa.Verify != VerifyJWT {
		fault("auth.uaa.verify", uaa.Verify, "must be check_token or jwt")
	}
	asks := c.Auth.Mode == AuthUAA && uaa.Verify == VerifyCheckToken
	for _, key := range []struct{ name, value string }{{"auth.uaa.client_id", uaa.ClientID}, {"auth.uaa.client_secret", uaa.ClientSecret}} {
		switch {
		case key.value != "":
		case asks:
			fault(key.name, "", "must be set: auth.uaa.verify check_token needs it")
		case c.CloudController.URL != "":
			fault(key.name, "", "must be set: the token for cloud_controller.url needs it")
		}
	}
}

func (c Config) validateCloudController(fault faultFunc) {
	if c.CloudController.URL != "" {
		validateURL(fault, "cloud_controller.url", c.CloudController.URL)
		if c.Auth.UAA.URL == "" && c.Auth.Mode != AuthUAA {
			fault("auth.uaa.url", "", "must be the UAA's URL, which issues our token for cloud_controller.url")
		}
	}
	if !c.EnableSpaceDeveloperSelfService {
		return
	}
	if c.Auth.Mode == AuthToken {
		fault("enable_space_developer_self_service", true, "must be false with auth.mode token: who has the token may do everything")
	}
	if c.CloudController.URL == "" {
		fault("cloud_controller.url", "", "must be set: enable_space_developer_self_service asks it for roles")
	}
}

func (c Config) validateLimits(fault faultFunc) {
	if c.VNI == 0 || c.VNI >= 1<<24 {
		fault("vni", c.VNI, "must be 1 to 16777215")
	}
	if c.VXLANPort < 1 || c.VXLANPort > 65535 {
		fault("vxlan_port", c.VXLANPort, "must be a UDP port, 1 to 65535")
	}
	if !slices.Contains([]string{"debug", "info", "warn", "error"}, c.LogLevel) {
		fault("log_level", c.LogLevel, "must be debug, info, warn or error")
	}
	if c.GroupQuarantine < 0 {
		fault("group_quarantine", c.GroupQuarantine, "must be 0s or longer, such as 5m")
	}
	if c.MaxPoliciesPerAppSource < 1 {
		fault("max_policies_per_app_source", c.MaxPoliciesPerAppSource, "must be 1 or more")
	}
	if c.TagLength < 1 || c.TagLength > 2 {
		fault("tag_length", c.TagLength, "must be 1 or 2: the VXLAN group policy header carries two bytes, so a tag of three has no place in a packet")
	}
	if c.CleanupInterval != 0 && c.CleanupInterval < time.Second {
		fault("cleanup_interval", c.CleanupInterval, "must be 1s or longer, such as 60m, or 0s for never")
	}
	if c.LeaseExpiry < time.Second {
		fault("lease_expiry", c.LeaseExpiry, "must be 1s or longer, such as 168h")
	}
	for _, origin := range c.AllowedCORSDomains {
		u, err := url.Parse(origin)
		if origin != "*" && (err != nil || u.Host == "" || u.Scheme+"://"+u.Host != origin) {
			fault("allowed_cors_domains", origin, `must be an origin such as https://apps.example, without a path, or "*"`)
		}
	}
}

// validateURL refuses what is no http URL, and one with a password: URLs are
// logged.
func validateURL(fault faultFunc, key, text string) {
	u, err := url.Parse(text)
	switch {
	case err != nil || u.Host == "" || (u.Scheme != "http" && u.Scheme != "https"):
		fault(key, redactURL(text), "must be an http or https URL, such as https://host.example")
	case u.User != nil:
		fault(key, redactURL(text), "must not hold a user or password")
	}
}

// denied parses deny_networks. One that overlaps the overlay is accepted: it
// means nothing there, since what stays on the overlay is not egress.
func (c Config) denied(fault faultFunc) []netip.Prefix {
	var networks []netip.Prefix
	for _, text := range c.DenyNetworks {
		network, err := netip.ParsePrefix(text)
		if err != nil || !network.Addr().Is4() || network != network.Masked() {
			fault("deny_networks", text, "must be an IPv4 network such as 192.0.2.0/24, without host bits")
			continue
		}
		if network.Bits() == 0 { // a switch forgets a match of no bits, and the cell would never be in step
			fault("deny_networks", text, "must be longer than /0; for everything use 0.0.0.0/1 and 128.0.0.0/1")
			continue
		}
		networks = append(networks, network)
	}
	return networks
}

// networks parses network and checks it against subnet_prefix_length.
func (c Config) networks(fault faultFunc) []netip.Prefix {
	if len(c.Networks) == 0 {
		fault("network", "", "must list at least one overlay network, such as [10.255.0.0/16]")
	}
	if c.SubnetPrefix < 8 || c.SubnetPrefix > 30 {
		fault("subnet_prefix_length", c.SubnetPrefix, "must be 8 to 30")
	}
	var networks []netip.Prefix
	for _, text := range c.Networks {
		network, err := netip.ParsePrefix(text)
		switch {
		case err != nil || !network.Addr().Is4() || network != network.Masked():
			fault("network", text, "must be an IPv4 network such as 10.255.0.0/16, without host bits")
			continue
		case network.Bits() >= c.SubnetPrefix:
			fault("network", text, fmt.Sprintf("must be larger than one cell's subnet (subnet_prefix_length %d)", c.SubnetPrefix))
		}
		for _, other := range networks {
			if other.Overlaps(network) {
				fault("network", text, fmt.Sprintf("overlaps %s", other))
			}
		}
		networks = append(networks, network)
	}
	return networks
}
