package server

import (
	"errors"
	"io/fs"

	"github.com/weft-sdn/weft/settings"
)

// CheckFiles reads the files that the configuration names, and reports all that
// cannot be used; of secrets that every user of the host can read, it warns.
func (c Config) CheckFiles() error {
	faults := []error{
		settings.CheckKeyPair(settings.PEMFile{Key: "tls.cert_file", Path: c.TLS.Cert}, settings.PEMFile{Key: "tls.key_file", Path: c.TLS.Key}),
		settings.CheckKeyPair(
			settings.PEMFile{Key: "internal_tls.cert_file", Path: c.InternalTLS.Cert},
			settings.PEMFile{Key: "internal_tls.key_file", Path: c.InternalTLS.Key}),
		settings.CheckAuthorities(settings.PEMFile{Key: "internal_tls.ca_file", Path: c.InternalTLS.CA}),
		settings.CheckAuthorities(settings.PEMFile{Key: "auth.client_ca_file", Path: c.Auth.ClientCA}),
		settings.CheckAuthorities(settings.PEMFile{Key: "auth.uaa.ca_file", Path: c.Auth.UAA.CAFile}),
		settings.CheckAuthorities(settings.PEMFile{Key: "cloud_controller.ca_file", Path: c.CloudController.CAFile}),
	}
	if c.Auth.Mode == AuthToken {
		if _, err := readToken(c.Auth.TokenFile); err != nil && !errors.Is(err, fs.ErrNotExist) {
			faults = append(faults, settings.Fault{Key: "auth.token_file", Value: c.Auth.TokenFile, Must: err.Error()})
		}
		faults = append(faults, settings.CheckSecretFile("auth.token_file", c.Auth.TokenFile))
	}
	return errors.Join(faults...)
}
