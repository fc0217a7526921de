package http3

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"math/big"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"github.com/quic-go/qpack"
	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"
	"github.com/quic-go/quic-go/quicvarint"

	"semper/edge/front"
	"semper/edge/http1"
)

// A rig is a server of HTTP/3 and what its handler was given.
type rig struct {
	addr    string
	port    *Port
	driver  front.Driver
	leave   context.CancelFunc
	reached atomic.Int64
	roots   *x509.CertPool
	cert    tls.Certificate
}

func prepare(t *testing.T, h http.HandlerFunc, change ...func(*Options)) *rig {
	t.Helper()
	r := &rig{}
	r.certify(t)
	var err error
	if r.port, err = Bind("127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	r.addr = r.port.Addr().String()
	o := Options{
		Handler: http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
			r.reached.Add(1)
			h(w, req)
		}),
		TLS: &tls.Config{Certificates: []tls.Certificate{r.cert}}, Limits: &http1.Default, Streams: 10, Head: 5 * time.Second, Idle: time.Minute,
	}
	for _, f := range change {
		f(&o)
	}
	l, err := r.port.Listen(o)
	if err == nil {
		err = r.port.Lead()
	}
	if err != nil {
		t.Fatal(err)
	}
	r.driver = l.Driver(func() {})
	ctx, cancel := context.WithCancel(context.Background())
	r.leave = cancel
	served := make(chan error, 1)
	go func() { served <- r.driver.Serve(ctx, l) }()
	t.Cleanup(func() {
		cancel()
		if err := errors.Join(r.driver.Close(), <-served, r.port.Close()); err != nil {
			t.Error(err)
		}
	})
	return r
}

func (r *rig) certify(t *testing.T) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	one := &x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: []string{"a.example"}, NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true}
	der, err := x509.CreateCertificate(rand.Reader, one, one, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	r.roots = x509.NewCertPool()
	r.roots.AddCert(leaf)
	r.cert = tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

func (r *rig) client(t *testing.T) *http3.Transport {
	tr := &http3.Transport{TLSClientConfig: &tls.Config{RootCAs: r.roots, ServerName: "a.example"}}
	t.Cleanup(func() { tr.Close() })
	return tr
}

// A raw connection sends what no client does.
type raw struct {
	t    *testing.T
	conn *quic.Conn
}

func (r *rig) raw(t *testing.T) *raw {
	t.Helper()
	c, err := quic.DialAddr(t.Context(), r.addr, &tls.Config{RootCAs: r.roots, ServerName: "a.example", NextProtos: []string{"h3"}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.CloseWithError(0, "") })
	control, err := c.OpenUniStream()
	if err == nil {
		_, err = control.Write([]byte{0, 4, 0}) // no settings
	}
	if err != nil {
		t.Fatal(err)
	}
	return &raw{t, c}
}

func frame(kind uint64, payload []byte) []byte {
	return append(quicvarint.Append(quicvarint.Append(nil, kind), uint64(len(payload))), payload...)
}

func headers(fields ...string) []byte {
	var b bytes.Buffer
	e := qpack.NewEncoder(&b)
	for i := 0; i < len(fields); i += 2 {
		e.WriteField(qpack.HeaderField{Name: fields[i], Value: fields[i+1]})
	}
	return frame(1, b.Bytes())
}

// get is the head of a request with more fields.
func get(more ...string) []byte {
	return headers(append([]string{":method", "GET", ":scheme", "https", ":authority", "a.example", ":path", "/"}, more...)...)
}

// ask sends bytes on a new stream, ends it, and gives the status of the answer; 0 where the stream or the connection was reset.
func (r *raw) ask(bytes ...[]byte) (status string, code uint64) {
	r.t.Helper()
	s, err := r.conn.OpenStreamSync(r.t.Context())
	if err != nil {
		return err.Error(), 0
	}
	for _, b := range bytes {
		if _, err := s.Write(b); err != nil {
			break
		}
	}
	s.Close()
	s.SetReadDeadline(time.Now().Add(20 * time.Second))
	answer, err := io.ReadAll(s)
	var reset *quic.StreamError
	var over *quic.ApplicationError
	switch {
	case errors.As(err, &reset):
		return "", uint64(reset.ErrorCode)
	case errors.As(err, &over):
		return "", uint64(over.ErrorCode)
	case err != nil:
		return err.Error(), 0
	}
	return statusOf(r.t, answer), 0
}

func statusOf(t *testing.T, answer []byte) string {
	in := bytes.NewReader(answer)
	for {
		kind, err := quicvarint.Read(in)
		if err != nil {
			t.Fatalf("no head in %q", answer)
		}
		n, _ := quicvarint.Read(in)
		b := make([]byte, n)
		io.ReadFull(in, b)
		if kind != 1 {
			continue
		}
		next := qpack.NewDecoder().Decode(b)
		for f, err := next(); err == nil; f, err = next() {
			if f.Name == ":status" {
				return f.Value
			}
		}
	}
}
