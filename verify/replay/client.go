package replay

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"semper/verify/capture"
	"semper/verify/diff"
)

// A pair is an exchange, and what came of sending it again.
type pair struct {
	exchange capture.Exchange
	endpoint string
	err      error         // of the source
	done     chan struct{} // closed when all below is known
	late     bool          // it had to wait for room

	candidate, baseline, second answer
	asked                       bool // the baseline, now
	compared                    bool
	found                       diff.Comparison
	noise                       *diff.Comparison
}

// An answer is what a target gave.
type answer struct {
	response *diff.Response // nil: none
	took     time.Duration  // until its end
	missing  string         // why there is none
}

// client sends requests.
type client struct{ o Options }

// marker is the field that marks what is sent, so that an app can tell it from a client's.
const marker = "Semper-Replay"

// ErrRecordedHost is of a target that is what was recorded, and was not said to be meant.
var ErrRecordedHost = errors.New("would be sent there again")

// check fails for what must not be sent, and leaves out what is not to be.
func (c *client) check(e *capture.Exchange) error {
	if e.Left != "" {
		return nil
	}
	for _, u := range []*url.URL{c.o.Candidate, c.o.Baseline, c.o.Copy} {
		if u != nil && !c.o.RecordedHost && same(u, e.Request.Authority) {
			return fmt.Errorf("%s: this was recorded at %s, and %w: allow that if it is meant", e.Place, u.Host, ErrRecordedHost)
		}
	}
	if !c.o.Unsafe && !safe(e.Request.Method) {
		e.Left = Unsafe
	}
	return nil
}

// same reports whether a target is what an authority names. An authority without a port is any that is there by default.
func same(u *url.URL, authority string) bool {
	a, err := url.Parse("//" + authority)
	if err != nil || a.Host == "" || !strings.EqualFold(a.Hostname(), u.Hostname()) {
		return false
	}
	if a.Port() == "" {
		return port(u) == "80" || port(u) == "443"
	}
	return a.Port() == port(u)
}

// safe reports whether a method is, by RFC 9110, 9.2.1.
func safe(method string) bool {
	return slices.Contains([]string{http.MethodGet, http.MethodHead, http.MethodOptions, http.MethodTrace}, method)
}

// settle asks all targets at once, in an order of chance, and compares.
func (c *client) settle(ctx context.Context, p *pair) {
	e := &p.exchange
	p.endpoint = endpoint(e.Request.Method, e.Request.URL.Path)
	targets := []struct {
		at   *url.URL
		into *answer
	}{{c.o.Candidate, &p.candidate}}
	if c.o.Baseline != nil {
		p.asked = true
		targets = append(targets, struct {
			at   *url.URL
			into *answer
		}{c.o.Baseline, &p.baseline})
		second := c.o.Copy
		if second == nil && safe(e.Request.Method) {
			second = c.o.Baseline
		}
		if second != nil {
			p.noise = new(diff.Comparison)
			targets = append(targets, struct {
				at   *url.URL
				into *answer
			}{second, &p.second})
		}
	} else {
		p.baseline.response = e.Response
	}
	rand.Shuffle(len(targets), func(i, j int) { targets[i], targets[j] = targets[j], targets[i] })
	var all sync.WaitGroup
	for _, t := range targets[1:] {
		all.Go(func() { *t.into = c.ask(ctx, t.at, e) })
	}
	*targets[0].into = c.ask(ctx, targets[0].at, e)
	all.Wait()
	c.compare(p)
	e.Request, e.Response = capture.Request{}, nil
	p.candidate.response, p.baseline.response, p.second.response = p.candidate.forget(), p.baseline.forget(), p.second.forget()
}

// forget is the answer without its content, which is compared.
func (a *answer) forget() *diff.Response {
	if a.response == nil {
		return nil
	}
	return &diff.Response{Status: a.response.Status, Kept: a.response.Kept}
}

// compare compares what there is. Without an answer of the baseline there is nothing to compare with.
func (c *client) compare(p *pair) {
	if p.baseline.response == nil {
		p.noise = nil
		return
	}
	p.compared = true
	now := time.Now()
	against := func(a *answer) diff.Comparison {
		if a.response != nil {
			was, is := *p.baseline.response, *a.response
			was.Asked, is.Asked = p.exchange.Request.URL.Path, p.exchange.Request.URL.Path
			return c.o.Compare.Compare(p.endpoint, now, was, is)
		}
		return diff.Comparison{Differences: []diff.Difference{{
			Path: diff.Path{"status"}, Kind: diff.Changed, Was: strconv.Itoa(p.baseline.response.Status), Is: "none: " + a.missing,
		}}}
	}
	p.found = against(&p.candidate)
	if p.noise != nil {
		*p.noise = against(&p.second)
	}
}

// ask sends the exchange's request to a target.
func (c *client) ask(ctx context.Context, target *url.URL, e *capture.Exchange) (a answer) {
	ctx, cancel := context.WithTimeout(ctx, c.o.Timeout)
	defer cancel()
	begun := time.Now()
	r, err := c.o.Transport.RoundTrip(c.request(ctx, target, &e.Request))
	if err == nil {
		a.response, err = read(r, c.o.MaxBody)
	}
	a.took = time.Since(begun)
	if err != nil {
		a.response, a.missing = nil, missing(err)
	}
	return a
}

// missing is why there is no answer, the same for all that have one reason.
func missing(err error) string {
	var timeout interface{ Timeout() bool }
	switch {
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &timeout) && timeout.Timeout():
		return "it takes too long"
	case errors.Is(err, syscall.ECONNREFUSED):
		return "the connection is refused"
	}
	return "the connection breaks off, or it is no HTTP"
}

// connection are the fields of one connection only (RFC 9110, 7.6.1).
var connection = []string{"Connection", "Proxy-Connection", "Keep-Alive", "Te", "Transfer-Encoding", "Upgrade", "Trailer", "Proxy-Authorization", "Expect", "Content-Length"}

// request is the recorded one, for a target.
func (c *client) request(ctx context.Context, target *url.URL, q *capture.Request) *http.Request {
	u := *q.URL
	u.Scheme, u.Host, u.Opaque = target.Scheme, target.Host, ""
	if before := strings.TrimSuffix(target.EscapedPath(), "/"); before != "" {
		u.RawPath = before + q.URL.EscapedPath()
		u.Path = strings.TrimSuffix(target.Path, "/") + q.URL.Path
	}
	h := q.Header.Clone()
	if h == nil {
		h = make(http.Header)
	}
	for _, name := range append(strings.Split(strings.Join(h.Values("Connection"), ","), ","), connection...) {
		h.Del(strings.TrimSpace(name))
	}
	// Only what can be decoded here is asked for, and only by who asked for it.
	if packed := strings.Contains(strings.ToLower(h.Get("Accept-Encoding")), "gzip"); packed {
		h.Set("Accept-Encoding", "gzip")
	} else {
		h.Del("Accept-Encoding")
	}
	if h.Get("User-Agent") == "" {
		h["User-Agent"] = nil // none, as it was recorded
	}
	h.Set(marker, "1")
	host := q.Authority
	for name, values := range c.o.Header {
		if name == "Host" {
			host = values[0]
			continue
		}
		if h[name] = values; values[0] == "" {
			delete(h, name)
		}
	}
	r := (&http.Request{Method: q.Method, URL: &u, Header: h, Host: host, ContentLength: int64(len(q.Body))}).WithContext(ctx)
	if r.ContentLength > 0 {
		r.Body = io.NopCloser(bytes.NewReader(q.Body))
		r.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(q.Body)), nil }
	}
	return r
}

// read reads a response to its end. Of its content, decoded, most bytes are kept, and of more the hash only.
func read(r *http.Response, most int64) (*diff.Response, error) {
	defer r.Body.Close() //nolint:errcheck // it was read, or is not wanted
	content := io.Reader(r.Body)
	if coding := r.Header.Get("Content-Encoding"); coding != "" {
		switch plain, err := capture.Decode(coding, r.Body); {
		case err == nil:
			content = plain
			r.Header.Del("Content-Encoding")
		case plain != nil && errors.Is(err, capture.ErrPlain):
			content = plain // it says that it is coded, and is not: that is compared
		}
	}
	sum := sha256.New()
	var kept bytes.Buffer
	n, err := io.Copy(io.MultiWriter(&kept, sum), io.LimitReader(content, most+1))
	if err != nil {
		return nil, err
	}
	for name, v := range r.Trailer { // where gRPC says what came of it
		if strings.HasPrefix(name, "Grpc-") {
			r.Header[name] = v
		}
	}
	if n <= most {
		whole := diff.NewResponse(r.StatusCode, r.Header, kept.Bytes())
		return &whole, nil
	}
	rest, err := io.Copy(sum, content)
	if err != nil {
		return nil, err
	}
	return &diff.Response{Status: r.StatusCode, Header: r.Header, Length: n + rest, Sum: [sha256.Size]byte(sum.Sum(nil))}, nil
}
