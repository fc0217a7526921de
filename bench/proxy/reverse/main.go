// Command reverse is httputil.ReverseProxy as a program: what a Go programmer has in twenty lines, made as fast as its options allow.
// bench/proxy measures it beside the others.
package main

import (
	"bufio"
	"context"
	"errors"
	"flag"
	"fmt"
	"log"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"os/signal"
	"runtime"
	"sync"
	"syscall"
	"time"
)

type options struct {
	http, https, cert, network, upstream, log string
}

func main() {
	var o options
	version := flag.Bool("version", false, "write the version of the standard library and end")
	flag.StringVar(&o.http, "http", "127.0.0.1:8080", "plaintext address")
	flag.StringVar(&o.https, "https", "", "TLS address, for HTTP/1.1 and HTTP/2; empty: none")
	flag.StringVar(&o.cert, "cert", "", "file with certificate and key, both PEM")
	flag.StringVar(&o.network, "network", "tcp", "of the upstream: tcp or unix")
	flag.StringVar(&o.upstream, "upstream", "", "its address or path")
	flag.StringVar(&o.log, "log", "", "access log; empty: none")
	flag.Parse()
	if *version {
		fmt.Println(runtime.Version()[len("go"):])
		return
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, o); err != nil {
		fmt.Fprintln(os.Stderr, "reverse:", err)
		stop()
		os.Exit(1)
	}
}

func run(ctx context.Context, o options) error {
	handler := http.Handler(proxy(o.network, o.upstream))
	if o.log != "" {
		f, err := os.Create(o.log)
		if err != nil {
			return err
		}
		defer f.Close()
		l := &accessLog{next: handler, out: bufio.NewWriterSize(f, 64<<10)}
		defer l.flush()
		handler = l
	}
	server := &http.Server{Handler: handler, ReadHeaderTimeout: 10 * time.Second, IdleTimeout: time.Hour}
	ended := make(chan error, 2)
	serve := func(address string, with func(net.Listener) error) error {
		l, err := net.Listen("tcp", address)
		if err == nil {
			go func() { ended <- with(l) }()
		}
		return err
	}
	if err := serve(o.http, server.Serve); err != nil {
		return err
	}
	if o.https != "" {
		tls := func(l net.Listener) error { return server.ServeTLS(l, o.cert, o.cert) }
		if err := serve(o.https, tls); err != nil {
			return errors.Join(err, server.Close())
		}
	}
	select {
	case err := <-ended:
		return err
	case <-ctx.Done():
		return server.Close()
	}
}

// proxy has buffers and idle connections enough that no request pays for either.
func proxy(network, upstream string) *httputil.ReverseProxy {
	target := &url.URL{Scheme: "http", Host: "upstream"}
	dialer := &net.Dialer{Timeout: 5 * time.Second}
	return &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(target)
			r.Out.Host = r.In.Host
			r.Out.URL.RawQuery = r.In.URL.RawQuery // as sent: it leaves out what it cannot parse otherwise
			r.SetXForwarded()
		},
		Transport: &http.Transport{
			DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
				return dialer.DialContext(ctx, network, upstream)
			},
			MaxIdleConns:        0,
			MaxIdleConnsPerHost: 512,
			IdleConnTimeout:     time.Hour,
			DisableCompression:  true,
		},
		BufferPool: &buffers{},
		ErrorLog:   log.New(os.Stderr, "", 0),
	}
}

// buffers are those that bodies are copied through.
type buffers struct{ pool sync.Pool }

func (b *buffers) Get() []byte {
	if p, ok := b.pool.Get().(*[]byte); ok {
		return *p
	}
	return make([]byte, 32<<10)
}

func (b *buffers) Put(p []byte) { b.pool.Put(&p) }

// An accessLog writes a line of the common format for every request.
type accessLog struct {
	next http.Handler
	mu   sync.Mutex // guards out
	out  *bufio.Writer
}

func (l *accessLog) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	seen := &status{ResponseWriter: w}
	l.next.ServeHTTP(seen, r)
	now := time.Now()
	l.mu.Lock()
	defer l.mu.Unlock()
	fmt.Fprintf(l.out, "%s - - [%s] %q %d %d\n", r.RemoteAddr, now.Format("02/Jan/2006:15:04:05 -0700"), r.Method+" "+r.RequestURI+" "+r.Proto, seen.code, seen.bytes)
}

func (l *accessLog) flush() {
	l.mu.Lock()
	defer l.mu.Unlock()
	_ = l.out.Flush() // of a log that nobody reads when the run is over
}

// status sees what was answered.
type status struct {
	http.ResponseWriter
	code  int
	bytes int
}

func (s *status) WriteHeader(code int) {
	s.code = code
	s.ResponseWriter.WriteHeader(code)
}

func (s *status) Write(b []byte) (int, error) {
	n, err := s.ResponseWriter.Write(b)
	s.bytes += n
	return n, err
}

// Unwrap lets http.ResponseController flush and hijack.
func (s *status) Unwrap() http.ResponseWriter { return s.ResponseWriter }
