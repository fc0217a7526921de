package api

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"semper"
	"semper/internal/pause"
)

// ClientOptions of [NewClient]. The zero value is for a unix socket.
type ClientOptions struct {
	Token  string // for https and loopback http hosts
	CAFile string // PEM certificates to trust instead of the system's
	// Patience is how long a call is repeated while the server's control process is being replaced;
	// 0 means 10 s.
	Patience time.Duration
	// Waiting, when set, is told before a call is repeated the first time, with the reason.
	Waiting func(why error)
}

// Client is the [Service] of a server elsewhere. It is safe for concurrent use.
//
// A call that could not reach a server it had reached before, whose connection broke before an
// answer, or that was answered "unavailable" is repeated for [ClientOptions.Patience], if repeating
// cannot do a thing twice. A followed stream of events goes on where it was.
type Client struct {
	host     string // as given, for messages
	base     string // of every URL
	http     *http.Client
	fresh    *http.Client // a new connection for each request: for what must not be sent into one that just closed
	o        ClientOptions
	reached  atomic.Bool // a server answered once: a refused connection now means it is being replaced
	waitOnce atomic.Bool
}

var _ Service = (*Client)(nil)

// answerPatience is how long a server may think before the head of its answer.
const answerPatience = 60 * time.Second

// NewClient talks to host: "unix:///path/api.sock", "https://host:port" or "http://127.0.0.1:port"
// (loopback only). It connects when first used.
func NewClient(host string, o ClientOptions) (*Client, error) {
	if o.Patience == 0 {
		o.Patience = 10 * time.Second
	}
	t := &http.Transport{
		ResponseHeaderTimeout: answerPatience,
		IdleConnTimeout:       30 * time.Second,
		MaxIdleConnsPerHost:   4,
		TLSHandshakeTimeout:   10 * time.Second,
		DialContext:           (&net.Dialer{Timeout: 5 * time.Second}).DialContext,
	}
	c := &Client{host: host, o: o}
	u, err := url.Parse(host)
	if err != nil {
		return nil, badHost(host, "is not a URL")
	}
	switch u.Scheme {
	case "unix":
		if err := c.overUnix(u, t); err != nil {
			return nil, err
		}
	case "http", "https":
		if err := c.overTCP(u, t); err != nil {
			return nil, err
		}
	default:
		return nil, badHost(host, "has no scheme semper knows")
	}
	once := t.Clone()
	once.DisableKeepAlives = true
	c.http, c.fresh = over(t), over(once)
	return c, nil
}

func over(t *http.Transport) *http.Client {
	return &http.Client{
		Transport: t,
		// A token must not follow a redirect to somewhere else, and the API never redirects.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

func (c *Client) overTCP(u *url.URL, t *http.Transport) error {
	if u.Host == "" {
		return badHost(c.host, "names no host")
	}
	if ip := net.ParseIP(u.Hostname()); u.Scheme == "http" && u.Hostname() != "localhost" && (ip == nil || !ip.IsLoopback()) {
		return badHost(c.host, "sends a token in the clear over a network; use https://")
	}
	var err error
	if u.Scheme == "https" {
		t.TLSClientConfig, err = trust(c.o.CAFile)
	}
	c.base = strings.TrimSuffix(u.Scheme+"://"+u.Host+u.Path, "/")
	return err
}

func (c *Client) overUnix(u *url.URL, t *http.Transport) error {
	path := u.Path
	if u.Host != "" || path == "" {
		return badHost(c.host, "is no absolute path; write unix:///path/api.sock")
	}
	t.DialContext = func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{Timeout: 5 * time.Second}).DialContext(ctx, "unix", path)
	}
	c.base = "http://semper"
	c.o.Token = "" // the socket's mode says who may
	return nil
}

func badHost(host, why string) error {
	return &semper.Error{
		Code: semper.Invalid, Message: fmt.Sprintf("host %q %s", host, why),
		Hint: "a host is unix:///path/api.sock, https://host:port or http://127.0.0.1:port",
	}
}

func trust(file string) (*tls.Config, error) {
	if file == "" {
		return nil, nil //nolint:nilnil // no configuration means the standard library's
	}
	pem, err := os.ReadFile(file)
	if err != nil {
		return nil, &semper.Error{Code: semper.Invalid, Message: "the certificate file cannot be read", Err: err}
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		return nil, &semper.Error{Code: semper.Invalid, Message: file + " holds no PEM certificate"}
	}
	return &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}, nil
}

// Host is the host this client talks to, as it was given.
func (c *Client) Host() string { return c.host }

// Close gives back idle connections. Calls may still be made after it.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// lent is a request's body on loan to one attempt. The transport may still read when the attempt has
// failed already; after Close it cannot, and the next attempt has the data for itself.
type lent struct {
	mu sync.Mutex // guards r
	r  io.Reader  // nil once closed
}

func (l *lent) Read(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.r == nil {
		return 0, http.ErrBodyReadAfterClose
	}
	return l.r.Read(b)
}

func (l *lent) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.r = nil
	return nil
}

// A request as it can be sent more than once.
type request struct {
	method, path string
	query        url.Values
	body         io.ReadSeeker // nil for none
	stream       io.Reader     // instead of body: can be sent once only
	repeatable   bool          // doing it twice is doing it once
}

// send performs r until it is answered, cannot be repeated, or patience ends. The caller closes the body.
func (c *Client) send(ctx context.Context, r request) (*http.Response, error) {
	deadline := time.Now().Add(c.o.Patience)
	for delay := 20 * time.Millisecond; ; delay = min(2*delay, 500*time.Millisecond) {
		res, err := c.once(ctx, r)
		if err == nil {
			return res, nil
		}
		if ctx.Err() != nil {
			return nil, contextError(ctx)
		}
		if !c.again(r, err) || time.Now().Add(delay).After(deadline) {
			return nil, c.explain(err)
		}
		if c.o.Waiting != nil && c.waitOnce.CompareAndSwap(false, true) {
			c.o.Waiting(c.explain(err))
		}
		if !pause.For(ctx, delay) {
			return nil, contextError(ctx)
		}
	}
}

func contextError(ctx context.Context) error {
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return &semper.Error{Code: semper.Timeout, Message: "no answer in the time given", Err: ctx.Err()}
	}
	return ctx.Err()
}

// again decides whether a failed call may be repeated: only if it was certainly not done, or may be done twice.
func (c *Client) again(r request, err error) bool {
	if r.stream != nil {
		return false
	}
	if semper.CodeOf(err) == semper.Unavailable { // by its definition nothing was changed
		return true
	}
	if isDial(err) { // nothing was sent
		return c.reached.Load() && !errors.Is(err, os.ErrPermission)
	}
	return r.repeatable && isBroken(err)
}

func isDial(err error) bool {
	op, ok := errors.AsType[*net.OpError](err)
	return ok && op.Op == "dial"
}

// isBroken: the connection ended before the answer's head. The transport closes one that has ended while it is still
// being written to.
func isBroken(err error) bool {
	return errors.Is(err, net.ErrClosed) || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, syscall.ECONNRESET) ||
		errors.Is(err, syscall.EPIPE) || strings.Contains(err.Error(), "server closed idle connection")
}

// once performs r one time. An answer that is an error becomes one.
func (c *Client) once(ctx context.Context, r request) (_ *http.Response, failed error) {
	body := r.stream
	if r.body != nil {
		if _, err := r.body.Seek(0, io.SeekStart); err != nil {
			return nil, &semper.Error{Code: semper.Invalid, Message: "the data to send cannot be read again", Err: err}
		}
		loan := &lent{r: r.body}
		body = loan
		// After a success nobody repeats, and the transport may still look for the body's end: taking it
		// away then would break the answer that is being read.
		defer func() {
			if failed != nil {
				_ = loan.Close() // never fails
			}
		}()
	}
	target := c.base + r.path
	if len(r.query) > 0 {
		target += "?" + r.query.Encode()
	}
	q, err := http.NewRequestWithContext(ctx, r.method, target, body)
	if err != nil {
		return nil, err
	}
	if l, ok := r.body.(interface{ Len() int }); ok {
		q.ContentLength = int64(l.Len())
	}
	if body != nil {
		q.Header.Set("Content-Type", "application/json")
	}
	if c.o.Token != "" {
		q.Header.Set("Authorization", "Bearer "+c.o.Token)
	}
	client := c.http
	if !r.repeatable {
		client = c.fresh
	}
	res, err := client.Do(q)
	if err != nil {
		return nil, err
	}
	if res.StatusCode >= 200 && res.StatusCode < 300 {
		c.reached.Store(true)
		return res, nil
	}
	defer res.Body.Close() //nolint:errcheck // only read from
	return nil, c.failure(r, res)
}

// failure is the error an answer carries.
func (c *Client) failure(r request, res *http.Response) error {
	b, err := io.ReadAll(io.LimitReader(res.Body, 1<<20))
	if err != nil {
		return err
	}
	var e errorBody
	if json.Unmarshal(b, &e) == nil && e.Error != nil {
		c.reached.Store(true)
		return e.Error.err()
	}
	if r.method == http.MethodHead && res.StatusCode != http.StatusUnauthorized {
		for _, code := range []semper.Code{semper.Invalid, semper.NotFound, semper.Forbidden, semper.Unavailable, semper.Timeout, semper.NoSpace} {
			if StatusOf(code) == res.StatusCode {
				return &semper.Error{Code: code, Message: "the server answered " + res.Status}
			}
		}
	}
	code := semper.Internal
	if res.StatusCode == http.StatusUnauthorized {
		code = semper.Forbidden
	}
	text, _, _ := strings.Cut(strings.TrimSpace(string(b)), "\n")
	return &semper.Error{
		Code: code, Message: fmt.Sprintf("%s answered %s: %.80s", c.host, res.Status, text),
		Hint: "is this the API of a semper server?",
	}
}

// explain says in words what kept a call from being answered.
func (c *Client) explain(err error) error {
	if _, ok := errors.AsType[*semper.Error](err); ok {
		return err
	}
	cause := err
	for next := errors.Unwrap(cause); next != nil; next = errors.Unwrap(cause) {
		cause = next
	}
	switch {
	case isDial(err) && errors.Is(err, os.ErrPermission):
		return &semper.Error{Code: semper.Forbidden, Message: "no access to " + c.host, Err: cause, Hint: "the socket serves the user the server runs as, and root"}
	case isDial(err):
		return &semper.Error{Code: semper.Unavailable, Message: "no semper server at " + c.host, Err: cause, Hint: "start one: semper server run"}
	case isBroken(err):
		return &semper.Error{
			Code: semper.Internal, Message: "the connection to " + c.host + " broke before an answer", Err: cause,
			Hint: "it may or may not have been done: semper status tells",
		}
	case strings.Contains(err.Error(), "timeout awaiting response headers"):
		return &semper.Error{
			Code: semper.Timeout, Message: fmt.Sprintf("%s accepted the connection and did not answer within %s", c.host, answerPatience),
			Hint: "its control process may be down; its supervisor restarts it: semper tree tells",
		}
	}
	return &semper.Error{Code: semper.Internal, Message: "no answer from " + c.host, Err: cause}
}

// fetch is a call whose answer is one value.
func fetch[T any](ctx context.Context, c *Client, r request) (T, error) {
	var value T
	res, err := c.send(ctx, r)
	if err != nil {
		return value, err
	}
	defer res.Body.Close() //nolint:errcheck // only read from
	if err := json.NewDecoder(res.Body).Decode(&value); err != nil {
		if ctx.Err() != nil {
			return value, contextError(ctx)
		}
		return value, &semper.Error{Code: semper.Internal, Message: "the answer of " + c.host + " cannot be read", Err: err}
	}
	return value, nil
}

func get[T any](ctx context.Context, c *Client, path string, query url.Values) (T, error) {
	return fetch[T](ctx, c, request{method: http.MethodGet, path: path, query: query, repeatable: true})
}

func post[T any](ctx context.Context, c *Client, path string, body any, repeatable bool) (T, error) {
	b, err := json.Marshal(body)
	if err != nil {
		var none T
		return none, &semper.Error{Code: semper.Internal, Message: "the request does not marshal", Err: err}
	}
	return fetch[T](ctx, c, request{method: http.MethodPost, path: path, body: bytes.NewReader(b), repeatable: repeatable})
}
