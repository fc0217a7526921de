package certs

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"sync"
	"testing"
)

// An edge here is the two listeners of one, with a Manager behind as soon as there is one.
type edge struct {
	plain, secure net.Listener
	servers       sync.WaitGroup
}

func (e *edge) ports() (plain, secure int) {
	return e.plain.Addr().(*net.TCPAddr).Port, e.secure.Addr().(*net.TCPAddr).Port
}

// listen opens both.
func listen() (*edge, error) {
	plain, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	secure, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		plain.Close()
		return nil, err
	}
	return &edge{plain: plain, secure: secure}, nil
}

func listenEdge(t testing.TB) *edge {
	t.Helper()
	e, err := listen()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { e.plain.Close(); e.secure.Close() })
	return e
}

// begin answers both listeners by m, until end.
func (e *edge) begin(m *Manager) (end func()) {
	app := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.TLS != nil && !m.SameCertificate(*r.TLS, r.Host) {
			w.WriteHeader(http.StatusMisdirectedRequest)
		}
	})
	quiet := log.New(io.Discard, "", 0) // what goes wrong is seen by the client
	plain, secure := &http.Server{Handler: m.HTTPHandler(app), ErrorLog: quiet}, &http.Server{Handler: app, TLSConfig: m.TLSConfig(), ErrorLog: quiet}
	e.servers.Go(func() { plain.Serve(e.plain) })
	e.servers.Go(func() { secure.ServeTLS(e.secure, "", "") })
	return func() {
		m.Close()
		plain.Close()
		secure.Close()
		e.servers.Wait()
	}
}

// serve begins with a Manager made of o, until the test ends.
func (e *edge) serve(t testing.TB, o Options) *Manager {
	t.Helper()
	m, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(e.begin(m))
	return m
}

// connect makes one handshake with the edge, as a client that trusts roots.
func (e *edge) connect(roots *x509.CertPool, name string) (tls.ConnectionState, error) {
	d := &tls.Dialer{Config: &tls.Config{RootCAs: roots, ServerName: name, NextProtos: []string{"h2", "http/1.1"}}}
	c, err := d.Dial("tcp", e.secure.Addr().String())
	if err != nil {
		return tls.ConnectionState{}, err
	}
	defer c.Close()
	return c.(*tls.Conn).ConnectionState(), nil
}

// edgeProcess is where TestMain goes when it is to be an edge of its own, for challenges that another process ordered. It
// says its ports and serves until its input ends.
func edgeProcess(dir, directory string) error {
	e, err := listen()
	if err != nil {
		return err
	}
	m, err := New(Options{Dir: dir, ACME: &ACME{
		CA: directory, Agreed: true, Allow: func(context.Context, string) error { return os.ErrPermission },
	}})
	if err != nil {
		return err
	}
	defer e.begin(m)()
	plain, secure := e.ports()
	fmt.Println(plain, secure)
	_, err = io.Copy(io.Discard, os.Stdin)
	return err
}
