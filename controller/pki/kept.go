package pki

import (
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// localNames lead to a controller on the agent's own machine, which is what
// there is to try things on.
var localNames = []string{"localhost", "127.0.0.1"}

// controllerNames are those that were asked for, else those of the certificate
// that is there: a cell that is added later is to find the same controller.
func controllerNames(certFile string, asked []string) ([]string, error) {
	if len(asked) > 0 {
		return asked, nil
	}
	cert, err := readCertificate(certFile)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return localNames, nil
	case err != nil:
		return nil, err
	case len(namesOf(cert)) == 0:
		return nil, fmt.Errorf("%s: names no host: give --controller-names", certFile)
	}
	return namesOf(cert), nil
}

func readCertificate(file string) (*x509.Certificate, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	cert, err := parseCertificate(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return cert, nil
}

// namesOf are a certificate's host names, and then its addresses.
func namesOf(cert *x509.Certificate) []string {
	names := slices.Clone(cert.DNSNames)
	for _, ip := range cert.IPAddresses {
		names = append(names, ip.String())
	}
	return names
}

// compareNames tells which names the controller's certificate, which was there,
// is not valid for.
func (f *File) compareNames(asked []string) error {
	if f.Made || len(asked) == 0 {
		return nil
	}
	cert, err := readCertificate(f.Path)
	if err != nil {
		return err
	}
	for _, name := range asked {
		if cert.VerifyHostname(name) != nil {
			f.Differs = append(f.Differs, fmt.Sprintf("the certificate is for %s, not for %s: move it and its key away and run init again, for another one of the same authority",
				strings.Join(namesOf(cert), ", "), name))
		}
	}
	return nil
}

// compareCell tells where a cell's file differs from what was asked for, and
// what is to be set in it. A file that makes no sense is for config check.
func (f *File) compareCell(cell Cell, asked []string) error {
	text, err := os.ReadFile(f.Path)
	if err != nil {
		return err
	}
	var has struct {
		Underlay   string `yaml:"underlay_ip"`
		Controller string `yaml:"controller"`
	}
	if yaml.Unmarshal(text, &has) != nil {
		return nil
	}
	controller, err := url.Parse(has.Controller)
	if err != nil {
		return nil
	}
	if cell.Underlay.IsValid() && cell.Underlay.String() != has.Underlay {
		f.Differs = append(f.Differs, fmt.Sprintf("underlay_ip is %s, not %s: edit it", has.Underlay, cell.Underlay))
	}
	if len(asked) > 0 && controller.Hostname() != asked[0] {
		f.Differs = append(f.Differs, fmt.Sprintf("controller is %s, not at %s: edit it", has.Controller, asked[0]))
	}
	if has.Underlay == unknownUnderlay {
		f.Unset = append(f.Unset, "underlay_ip")
	}
	if controller.Hostname() == localNames[0] {
		f.Unset = append(f.Unset, "controller to where this cell reaches it, unless it runs on the cell itself; its certificate must have that name, too (--controller-names)")
	}
	return nil
}
