package server

import (
	"cmp"
	"crypto/tls"
	"fmt"
	"log/slog"

	"github.com/weft-sdn/weft/api"
	"github.com/weft-sdn/weft/controller/cloudfoundry"
)

// guards decide who may call the two APIs, and what for.
type guards struct {
	internalTLS *tls.Config
	externalTLS *tls.Config // nil: plain HTTP
	auth        api.Authenticator
	token       string                        // mode token: the one that is accepted
	cloud       *cloudfoundry.CloudController // nil: none is configured
}

// guards reads the files that they need; it asks neither UAA nor Cloud
// Controller, which may start after us.
func (c Config) guards(log *slog.Logger) (guards, error) {
	var g guards
	var err error
	if g.internalTLS, err = api.ServerTLS(c.InternalTLS); err != nil {
		return guards{}, fmt.Errorf("internal_tls: %w", err)
	}
	if c.TLS.Cert != "" {
		if g.externalTLS, err = api.ExternalTLS(api.KeyFiles{Cert: c.TLS.Cert, Key: c.TLS.Key, CA: c.clientCA()}); err != nil {
			return guards{}, fmt.Errorf("tls, auth.client_ca_file: %w", err)
		}
	}
	var uaa *cloudfoundry.UAA
	if c.Auth.UAA.URL != "" {
		uaa, err = cloudfoundry.NewUAA(cloudfoundry.UAAConfig{
			URL: c.Auth.UAA.URL, ClientID: c.Auth.UAA.ClientID, ClientSecret: c.Auth.UAA.ClientSecret, CAFile: c.Auth.UAA.CAFile, Log: log,
		})
		if err != nil {
			return guards{}, fmt.Errorf("auth.uaa.ca_file: %w", err)
		}
	}
	switch {
	case c.Auth.Mode == AuthMTLS:
		g.auth = api.CertificateAuth()
	case c.Auth.Mode == AuthUAA && c.Auth.UAA.Verify == VerifyJWT:
		g.auth = cloudfoundry.NewJWT(uaa)
	case c.Auth.Mode == AuthUAA:
		g.auth = uaa
	default:
		if g.token, err = token(c.Auth.TokenFile, log); err != nil {
			return guards{}, err
		}
		g.auth = api.TokenAuth(g.token)
	}
	if c.CloudController.URL != "" {
		if g.cloud, err = cloudfoundry.NewCloudController(c.CloudController.URL, c.CloudController.CAFile, uaa); err != nil {
			return guards{}, fmt.Errorf("cloud_controller.ca_file: %w", err)
		}
	}
	return g, nil
}

// clientCA is "" unless callers prove by a certificate who they are. Those of
// the internal API have no scopes unless their certificates say so.
func (c Config) clientCA() string {
	if c.Auth.Mode != AuthMTLS {
		return ""
	}
	return cmp.Or(c.Auth.ClientCA, c.InternalTLS.CA)
}

// access is nil if there is no Cloud Controller: the interface must be.
func (g guards) access() api.Access {
	if g.cloud == nil {
		return nil
	}
	return g.cloud
}
