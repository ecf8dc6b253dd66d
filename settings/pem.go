package settings

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"
)

// PEMFile is a key of a configuration and the file that it names.
type PEMFile struct{ Key, Path string }

func (f PEMFile) fault(err error) Fault {
	text := reason(err)
	return Fault{Key: f.Key, Value: f.Path, Must: strings.TrimPrefix(text, "tls: ")}
}

// CheckKeyPair reads a certificate and its private key, and warns if the
// certificate is not valid today or if every user can read the key. Files
// without a name are left out.
func CheckKeyPair(cert, key PEMFile) error {
	if cert.Path == "" || key.Path == "" {
		return nil // Validate tells what is missing
	}
	certText, certErr := os.ReadFile(cert.Path)
	keyText, keyErr := os.ReadFile(key.Path)
	if certErr != nil || keyErr != nil {
		var faults []error
		if certErr != nil {
			faults = append(faults, cert.fault(certErr))
		}
		if keyErr != nil {
			faults = append(faults, key.fault(keyErr))
		}
		return errors.Join(faults...)
	}
	pair, err := tls.X509KeyPair(certText, keyText)
	if err != nil {
		at := key
		if !holdsCertificate(certText) {
			at = cert
		}
		return at.fault(err)
	}
	return errors.Join(checkDates(cert, pair.Leaf), CheckSecretFile(key.Key, key.Path))
}

func holdsCertificate(text []byte) bool { return x509.NewCertPool().AppendCertsFromPEM(text) }

// checkDates warns of a certificate that nobody will accept today.
func checkDates(file PEMFile, cert *x509.Certificate) error {
	if now := time.Now(); now.Before(cert.NotBefore) || now.After(cert.NotAfter) {
		must := fmt.Sprintf("the certificate is valid from %s to %s only", cert.NotBefore.Format(time.DateOnly), cert.NotAfter.Format(time.DateOnly))
		return Fault{Key: file.Key, Value: file.Path, Must: must, Warning: true}
	}
	return nil
}

// CommonName is the name that a certificate gives its owner; empty if the file
// cannot be read as one, which CheckKeyPair tells.
func CommonName(cert PEMFile) string {
	text, err := os.ReadFile(cert.Path)
	if err != nil {
		return ""
	}
	block, _ := pem.Decode(text)
	if block == nil {
		return ""
	}
	leaf, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return ""
	}
	return leaf.Subject.CommonName
}

// CheckAuthorities reads a file of certificates to trust. A file without a name
// is left out.
func CheckAuthorities(file PEMFile) error {
	if file.Path == "" {
		return nil
	}
	text, err := os.ReadFile(file.Path)
	if err != nil {
		return file.fault(err)
	}
	if !holdsCertificate(text) {
		return file.fault(errors.New("holds no certificate in PEM form"))
	}
	return nil
}
