package traffic

import (
	"context"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
)

// Reference runs the reverse proxy of the standard library in front of a backend, at the address it returns, until end
// is called.
func Reference(backend net.Addr) (addr string, end func() error, err error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", nil, err
	}
	t := &http.Transport{
		DisableCompression: true, MaxIdleConnsPerHost: 256,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			var d net.Dialer
			return d.DialContext(ctx, backend.Network(), backend.String())
		},
	}
	quiet := log.New(io.Discard, "", 0)
	proxy := &httputil.ReverseProxy{
		Transport: t, ErrorLog: quiet, FlushInterval: -1,
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(&url.URL{Scheme: "http", Host: Host})
			r.Out.Host = r.In.Host
			r.Out.Trailer = r.In.Trailer // it is filled when the body has been read; a clone would stay empty
			r.Out.URL.RawQuery, r.Out.URL.ForceQuery = r.In.URL.RawQuery, r.In.URL.ForceQuery
		},
	}
	s := &http.Server{Handler: proxy, ErrorLog: quiet}
	served := make(chan error, 1)
	go func() { served <- s.Serve(l) }()
	return l.Addr().String(), func() error {
		err := s.Close()
		if e := <-served; !errors.Is(e, http.ErrServerClosed) {
			err = errors.Join(err, e)
		}
		t.CloseIdleConnections()
		return err
	}, nil
}
