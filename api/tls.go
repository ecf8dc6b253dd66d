package api

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"os"
)

// KeyFiles names the PEM files of one party of the internal API.
type KeyFiles struct {
	Cert, Key string // own certificate and key
	CA        string // who signed the other side's
}

// ServerTLS is the controller's side: it requires a certificate of our CA. The
// files of certificate and key are read again for each connection, so that a
// renewed pair is used without a restart.
func ServerTLS(files KeyFiles) (*tls.Config, error) {
	pool, err := loadPair(files)
	if err != nil {
		return nil, err
	}
	return &tls.Config{
		MinVersion: tls.VersionTLS12,
		ClientAuth: tls.RequireAndVerifyClientCert,
		ClientCAs:  pool,
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
			return readPair(files)
		},
	}, nil
}

// ExternalTLS is the external API's side. Callers may show a certificate that
// files.CA has signed, unless that is ""; whether they must, the Authenticator
// says, since health checks have none. The files of certificate and key are read
// again for each connection.
func ExternalTLS(files KeyFiles) (*tls.Config, error) {
	if _, err := readPair(files); err != nil {
		return nil, err
	}
	config := &tls.Config{
		MinVersion: tls.VersionTLS12,
		CipherSuites: []uint16{ // of version 1.2: upstream's, and the same for a key of the other kind
			tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256, tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
		},
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
			return readPair(files)
		},
	}
	if files.CA != "" {
		pool, err := loadCA(files.CA)
		if err != nil {
			return nil, err
		}
		config.ClientAuth, config.ClientCAs = tls.VerifyClientCertIfGiven, pool
	}
	return config, nil
}

// ClientTLS is the agent's side: it shows the cell's certificate and believes
// only a server of our CA.
func ClientTLS(files KeyFiles) (*tls.Config, error) {
	pool, err := loadPair(files)
	if err != nil {
		return nil, err
	}
	return &tls.Config{
		MinVersion: tls.VersionTLS12,
		RootCAs:    pool,
		GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
			return readPair(files)
		},
	}, nil
}

// loadPair checks all three files, so that a fault shows at start, and returns the CA.
func loadPair(files KeyFiles) (*x509.CertPool, error) {
	if _, err := readPair(files); err != nil {
		return nil, err
	}
	return loadCA(files.CA)
}

func loadCA(path string) (*x509.CertPool, error) {
	pem, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("reading the CA: %w", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("reading the CA: %s holds no PEM certificate", path)
	}
	return pool, nil
}

func readPair(files KeyFiles) (*tls.Certificate, error) {
	pair, err := tls.LoadX509KeyPair(files.Cert, files.Key)
	if err != nil {
		return nil, fmt.Errorf("reading certificate %s and key %s: %w", files.Cert, files.Key, err)
	}
	return &pair, nil
}
