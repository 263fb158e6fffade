package listen

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func logger(t *testing.T) *slog.Logger {
	t.Helper()
	return slog.New(slog.NewTextHandler(t.Output(), nil))
}

func open(t *testing.T, cfg Config) *Ports {
	t.Helper()
	p, err := Open(t.Context(), cfg, logger(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.Close() })
	return p
}

// trusting returns a client that trusts the certificate kept in dir, only.
func trusting(t *testing.T, dir string) *http.Client {
	t.Helper()
	kept, err := os.ReadFile(filepath.Join(dir, ownCert))
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(kept) {
		t.Fatal("no certificate kept")
	}
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}, ForceAttemptHTTP2: true}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport}
}

func get(t *testing.T, client *http.Client, url string) (*http.Response, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp, string(body)
}

func TestServesBothPorts(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "data")
	p := open(t, Config{HTTPS: true, DataDir: dir})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		done <- p.Serve(ctx, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.TLS != nil {
				_, _ = io.WriteString(w, "secure")
				return
			}
			_, _ = io.WriteString(w, "plain")
		}), time.Second)
	}()
	if _, body := get(t, http.DefaultClient, p.URL()); body != "plain" {
		t.Errorf("HTTP: %q", body)
	}
	_, port, err := net.SplitHostPort(p.HTTPS().String())
	if err != nil {
		t.Fatal(err)
	}
	client := trusting(t, dir)
	for _, host := range []string{"127.0.0.1", "localhost"} {
		resp, body := get(t, client, "https://"+net.JoinHostPort(host, port))
		if body != "secure" || resp.ProtoMajor != 1 {
			t.Errorf("https://%s: %q over %s", host, body, resp.Proto)
		}
	}
	cancel()
	if err := <-done; err != nil {
		t.Errorf("Serve: %v", err)
	}
	for _, addr := range []net.Addr{p.HTTP(), p.HTTPS()} {
		if conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", addr.String()); err == nil {
			_ = conn.Close()
			t.Errorf("%v is still open", addr)
		}
	}
}

func TestServeCutsWhatTakesTooLong(t *testing.T) {
	t.Parallel()
	p := open(t, Config{})
	ctx, cancel := context.WithCancel(t.Context())
	cut := make(chan struct{})
	done := make(chan error, 1)
	go func() {
		done <- p.Serve(ctx, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			cancel()
			<-r.Context().Done()
			close(cut)
		}), time.Millisecond)
	}()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, p.URL(), nil)
	if err != nil {
		t.Fatal(err)
	}
	if resp, err := http.DefaultClient.Do(req); err == nil {
		_ = resp.Body.Close()
		t.Error("a request that had no end was answered")
	}
	<-cut
	if err := <-done; err != nil {
		t.Errorf("Serve: %v", err)
	}
}

func TestServeFailsWithItsPort(t *testing.T) {
	t.Parallel()
	p := open(t, Config{HTTPS: true, DataDir: t.TempDir()})
	if err := p.http.Close(); err != nil {
		t.Fatal(err)
	}
	if err := p.Serve(t.Context(), http.NotFoundHandler(), time.Second); err == nil {
		t.Error("Serve on a closed port worked")
	}
}

func TestPortsAndInterfaces(t *testing.T) {
	t.Parallel()
	p := open(t, Config{})
	tcp := p.HTTP().(*net.TCPAddr)
	if !tcp.IP.IsLoopback() || p.HTTPS() != nil {
		t.Errorf("by default HTTP is at %v, HTTPS at %v", tcp, p.HTTPS())
	}
	if got := open(t, Config{BindAll: true}).HTTP().(*net.TCPAddr); !got.IP.IsUnspecified() {
		t.Errorf("with BindAll HTTP is at %v", got)
	}
	if _, err := Open(t.Context(), Config{HTTPPort: tcp.Port}, logger(t)); err == nil || !strings.Contains(err.Error(), "open the HTTP port") {
		t.Errorf("a port in use: %v", err)
	}
	dir := t.TempDir()
	if _, err := Open(t.Context(), Config{HTTPS: true, HTTPSPort: tcp.Port, DataDir: dir}, logger(t)); err == nil || !strings.Contains(err.Error(), "open the HTTPS port") {
		t.Errorf("a TLS port in use: %v", err)
	}
	if _, err := Open(t.Context(), Config{HTTPS: true}, logger(t)); err == nil || !strings.Contains(err.Error(), "certificate") {
		t.Errorf("no certificate and nowhere to keep one: %v", err)
	}
}

func TestCertificateIsMadeOnce(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "new", "data")
	now := time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC)
	first, err := certificate(Config{DataDir: dir}, now)
	if err != nil {
		t.Fatal(err)
	}
	again, err := certificate(Config{DataDir: dir}, now.Add(9*365*24*time.Hour))
	if err != nil || !bytes.Equal(first.Certificate[0], again.Certificate[0]) {
		t.Errorf("another certificate after nine years: %v", err)
	}
	later, err := certificate(Config{DataDir: dir}, now.Add(11*365*24*time.Hour))
	if err != nil || bytes.Equal(first.Certificate[0], later.Certificate[0]) {
		t.Errorf("the same certificate after it expired: %v", err)
	}
	files, err := os.ReadDir(dir)
	if err != nil || len(files) != 1 {
		t.Fatalf("%v, %v", files, err)
	}
	if st, err := files[0].Info(); err != nil || st.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", st.Mode(), err)
	}
	leaf := first.Leaf
	host, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"localhost", "127.0.0.1", "::1", host} {
		if err := leaf.VerifyHostname(name); err != nil {
			t.Error(err)
		}
	}
	if got := leaf.NotAfter.Sub(now); got != validity || leaf.PublicKeyAlgorithm != x509.ECDSA {
		t.Errorf("valid for %v, %v", got, leaf.PublicKeyAlgorithm)
	}
}

func TestCertificateGiven(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	made, err := selfSigned(time.Now())
	if err != nil {
		t.Fatal(err)
	}
	certPEM, keyPEM := split(t, made)
	write := func(name string, data []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	cert, key, junk := write("cert.pem", certPEM), write("key.pem", keyPEM), write("junk.pem", []byte("x"))
	if _, err := certificate(Config{CertFile: cert, KeyFile: key}, time.Now()); err != nil {
		t.Errorf("a good pair: %v", err)
	}
	for name, cfg := range map[string]Config{
		"no key": {CertFile: cert}, "no certificate": {KeyFile: key}, "junk": {CertFile: junk, KeyFile: key},
		"absent": {CertFile: cert + "x", KeyFile: key},
	} {
		if _, err := certificate(cfg, time.Now()); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	write(ownCert, []byte("x"))
	if _, err := certificate(Config{DataDir: dir}, time.Now()); err == nil || !strings.Contains(err.Error(), "remove it") {
		t.Errorf("a broken file in the data directory: %v", err)
	}
}

func split(t *testing.T, bundle []byte) (cert, key []byte) {
	t.Helper()
	block, rest := pem.Decode(bundle)
	if block == nil || len(rest) == 0 {
		t.Fatal("not a certificate and a key")
	}
	return pem.EncodeToMemory(block), rest
}
