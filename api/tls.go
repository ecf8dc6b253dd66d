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
	pem, err := os.ReadFile(files.CA)
	if err != nil {
		return nil, fmt.Errorf("reading the CA: %w", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("reading the CA: %s holds no PEM certificate", files.CA)
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
