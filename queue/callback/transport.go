package callback

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"sync"
	"time"

	"semper/queue/dispatch"
	"semper/webhook"
)

// Transport sends callbacks: package dispatch gives it the requests of their jobs. It keeps no connection. It is safe for
// concurrent use.
type Transport struct {
	Rules func() Rules           // as they are now
	Key   func() ([]byte, error) // that messages are signed with, as it is now: see [webhook.Key]

	once       sync.Once
	tls, plain *http.Client
}

// clients are made once: their rules are asked each time.
func (t *Transport) clients() {
	t.tls = webhook.Guarded(func(a netip.Addr) error { return t.Rules().Address(a, true) })
	t.plain = webhook.Guarded(func(a netip.Addr) error { return t.Rules().Address(a, false) })
}

// answers are read up to this: what a receiver says is for people who look at a callback that failed.
const answers = 4 << 10

// RoundTrip sends the callback that r is. What would fail each time is a [dispatch.Final] error.
func (t *Transport) RoundTrip(r *http.Request) (*http.Response, error) {
	t.once.Do(t.clients)
	to := r.Header.Get(schemeField) + "://" + r.Host + r.URL.RequestURI()
	if err := t.Rules().URL(to); err != nil {
		return nil, &dispatch.Final{Err: err}
	}
	key, err := t.Key()
	if err != nil {
		return nil, err
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	m, err := webhook.Request(r.Context(), to, key, webhook.Message{ID: "req_" + r.Header.Get("Semper-Job-Id"), Body: body}, time.Now())
	if err != nil {
		return nil, &dispatch.Final{Err: err}
	}
	client := t.plain
	if strings.EqualFold(m.URL.Scheme, "https") {
		client = t.tls
	}
	res, err := client.Do(m)
	if f, ok := errors.AsType[*Forbidden](err); ok {
		return nil, &dispatch.Final{Err: fmt.Errorf("%s leads to a forbidden place: %w", m.URL.Hostname(), f)}
	}
	if whole, ok := errors.AsType[*url.Error](err); ok {
		return nil, whole.Err // without the URL, in which there may be a secret
	}
	if err != nil {
		return nil, err
	}
	if res.StatusCode == http.StatusGone {
		return nil, errors.Join(&dispatch.Final{Err: errors.New("the receiver wants none of it (410)")}, res.Body.Close())
	}
	res.Body = limited{io.LimitReader(res.Body, answers), res.Body}
	return res, nil
}

// limited is the beginning of a body.
type limited struct {
	io.Reader
	io.Closer
}
