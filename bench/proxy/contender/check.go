package contender

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// Check asks r what everybody must answer alike, over HTTP/1.1 and, if secure, over TLS and HTTP/2 too, and compares. With echo the backend is
// the one of BackendText, and what reached it is compared as well: a proxy that does less would be fast for the wrong reason.
func Check(ctx context.Context, r *Running, echo, secure bool) error {
	client := &http.Client{Timeout: 10 * time.Second}
	for _, way := range []struct {
		name, base, proto string
		h2                bool
	}{
		{"http/1.1", "http://" + r.Setup.HTTP, "HTTP/1.1", false},
		{"http/1.1 over tls", "https://" + r.Setup.HTTPS, "HTTP/1.1", false},
		{"http/2", "https://" + r.Setup.HTTPS, "HTTP/2.0", true},
	} {
		if way.base[:5] == "https" && !secure {
			continue
		}
		protocols := &http.Protocols{}
		protocols.SetHTTP1(!way.h2)
		protocols.SetHTTP2(way.h2)
		transport := &http.Transport{Protocols: protocols, DisableCompression: true, TLSClientConfig: &tls.Config{InsecureSkipVerify: true}} //nolint:gosec // of this run's own making
		client.Transport = transport
		err := plain(ctx, client, way.base, way.proto)
		if err == nil && echo {
			err = seen(ctx, client, way.base)
		}
		transport.CloseIdleConnections()
		if err != nil {
			return fmt.Errorf("%s, %s: %w", r.Name, way.name, err)
		}
	}
	return nil
}

// do is one request and its answer's body.
func do(ctx context.Context, c *http.Client, method, url string) (*http.Response, string, error) {
	req, err := http.NewRequestWithContext(ctx, method, url, nil)
	if err != nil {
		return nil, "", err
	}
	req.Header.Set("X-Kept", "yes")
	req.Header.Set("X-Forwarded-For", "192.0.2.1") // of a client that nobody has a reason to trust
	resp, err := c.Do(req)
	if err != nil {
		return nil, "", err
	}
	defer resp.Body.Close() //nolint:errcheck // only read
	body, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s %s: status %d, want 200: %.200s", method, url, resp.StatusCode, body)
	}
	return resp, string(body), err
}

func plain(ctx context.Context, c *http.Client, base, proto string) error {
	resp, body, err := do(ctx, c, http.MethodGet, base+"/")
	switch {
	case err != nil:
		return err
	case resp.Proto != proto:
		return fmt.Errorf("answered in %s, want %s", resp.Proto, proto)
	case body != Body:
		return fmt.Errorf("the body is %.200q, want %q", body, Body)
	case resp.ContentLength != int64(len(Body)):
		return fmt.Errorf("the Content-Length is %d, want %d", resp.ContentLength, len(Body))
	case resp.Header.Get("Content-Type") != "text/plain":
		return fmt.Errorf("the Content-Type is %q, want text/plain as the backend sent it", resp.Header.Get("Content-Type"))
	}
	return nil
}

// seen compares what reached the backend, several times, so that its connections must have been reused.
func seen(ctx context.Context, c *http.Client, base string) error {
	scheme, host, _ := strings.Cut(base, "://")
	name, _, err := net.SplitHostPort(host)
	if err != nil {
		return err
	}
	const target = "/seen?a=%2F&&b=%zz"
	reused := 0
	for range 8 {
		_, body, err := do(ctx, c, http.MethodGet, base+target)
		if err != nil {
			return err
		}
		f := strings.Split(body, " ")
		if len(f) != 7 {
			return fmt.Errorf("the backend saw %q, want seven words", body)
		}
		n, err := strconv.Atoi(f[6])
		if err != nil {
			return fmt.Errorf("the backend saw %q: %w", body, err)
		}
		reused = max(reused, n)
		if (f[4] == name || f[4] == host) && strings.Join(f[:4], " ") == "GET "+target+" 127.0.0.1 "+scheme && f[5] == "yes" {
			continue
		}
		return fmt.Errorf("the backend saw %q, want method and target as sent, X-Forwarded-For 127.0.0.1, -Proto %s, -Host %s, and X-Kept yes", body, scheme, host)
	}
	if reused < 2 {
		return errors.New("each request came to the backend on a connection of its own: they are to be reused")
	}
	return nil
}
