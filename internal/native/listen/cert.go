package listen

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"
)

// ownCert is the file in the data directory that holds the self-signed
// certificate and its key: one file, so that the two cannot get out of step.
const ownCert = "https.pem"

// validity of a self-signed certificate. Clients that accept it pinned it, so
// that renewing it is an interruption and nothing else.
const validity = 10 * 365 * 24 * time.Hour

// certificate returns the certificate given, or the one of the data directory,
// which is made when there is none or it has expired at now.
func certificate(cfg Config, now time.Time) (tls.Certificate, error) {
	if cfg.CertFile != "" || cfg.KeyFile != "" {
		if cfg.CertFile == "" || cfg.KeyFile == "" {
			return tls.Certificate{}, errors.New("a certificate and its key are both needed, and one is not set")
		}
		return tls.LoadX509KeyPair(cfg.CertFile, cfg.KeyFile)
	}
	if cfg.DataDir == "" {
		return tls.Certificate{}, errors.New("no certificate is set, and there is no data directory to keep a self-signed one in")
	}
	path := filepath.Join(cfg.DataDir, ownCert)
	kept, err := os.ReadFile(path)
	if err == nil {
		cert, err := tls.X509KeyPair(kept, kept)
		if err != nil {
			return tls.Certificate{}, fmt.Errorf("read %s (remove it to have a new one made): %w", path, err)
		}
		if now.Before(cert.Leaf.NotAfter) {
			return cert, nil
		}
	} else if !errors.Is(err, fs.ErrNotExist) {
		return tls.Certificate{}, err
	}
	made, err := selfSigned(now)
	if err != nil {
		return tls.Certificate{}, err
	}
	if err := keep(path, made); err != nil {
		return tls.Certificate{}, fmt.Errorf("keep the self-signed certificate: %w", err)
	}
	return tls.X509KeyPair(made, made)
}

// selfSigned makes a key and a certificate for this machine's names, as PEM.
func selfSigned(now time.Time) ([]byte, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		return nil, err
	}
	names := []string{"localhost"}
	if host, err := os.Hostname(); err == nil && host != "" && host != "localhost" {
		names = append(names, host)
	}
	template := &x509.Certificate{
		SerialNumber:          serial,
		Subject:               pkix.Name{CommonName: "Acequia engine"},
		NotBefore:             now.Add(-time.Hour), // for clocks that are a little behind
		NotAfter:              now.Add(validity),
		KeyUsage:              x509.KeyUsageDigitalSignature,
		ExtKeyUsage:           []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		BasicConstraintsValid: true,
		DNSNames:              names,
		IPAddresses:           []net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, err
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, err
	}
	out := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	return append(out, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER})...), nil
}

// keep writes a file that only its owner can read, whole or not at all.
func keep(path string, data []byte) error {
	dir := filepath.Dir(path)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	f, err := os.CreateTemp(dir, ownCert+".*") // with mode 0600
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	err = errors.Join(err, f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	return nil
}
