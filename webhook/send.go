package webhook

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strconv"
	"syscall"
	"time"
)

// Timeout of one send, from the first packet to the last byte of the answer.
const Timeout = 15 * time.Second

// A Message is sent, and sent again, as it is.
type Message struct {
	ID   string
	Body []byte // JSON
}

// Client connects to receivers. It follows no redirect, uses no proxy and, unless internal, refuses link-local addresses. It keeps no connection, and so
// nothing of it has to be closed.
func Client(internal bool) *http.Client {
	return Guarded(allowed(internal))
}

// Guarded is a [Client] that connects only to what allow has no error for: it is asked about each address that is about to be
// connected to, after every lookup, unmapped and without a zone. What has no address is not connected to.
func Guarded(allow func(netip.Addr) error) *http.Client {
	d := &net.Dialer{Timeout: 5 * time.Second, ControlContext: func(_ context.Context, _, address string, _ syscall.RawConn) error {
		return look(address, allow)
	}}
	return &http.Client{
		Transport: &http.Transport{
			DialContext: d.DialContext, TLSHandshakeTimeout: 5 * time.Second, ResponseHeaderTimeout: Timeout, DisableKeepAlives: true,
			MaxResponseHeaderBytes: 64 << 10,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

func look(address string, allow func(netip.Addr) error) error {
	ap, err := netip.ParseAddrPort(address)
	if err != nil {
		return &Forbidden{address}
	}
	return allow(ap.Addr().Unmap().WithZone(""))
}

// A Forbidden is an address that is not connected to.
type Forbidden struct{ Address string }

func (e *Forbidden) Error() string {
	return e.Address + " is a link-local, metadata, multicast or unspecified address: nothing is sent there unless the webhook says internal: true"
}

// metadata are addresses of clouds' metadata services that are not link-local: of AWS over IPv6, Alibaba and Oracle.
var metadata = []netip.Addr{netip.MustParseAddr("fd00:ec2::254"), netip.MustParseAddr("100.100.100.200"), netip.MustParseAddr("192.0.0.192")}

// Metadata is whether a is where a cloud keeps the credentials of its machines, and not link-local.
func Metadata(a netip.Addr) bool { return slices.Contains(metadata, a) }

// allowed is who may be connected to: internal opens link-local addresses.
func allowed(internal bool) func(netip.Addr) error {
	return func(a netip.Addr) error {
		switch {
		case a.IsUnspecified(), a.IsMulticast(), a == netip.AddrFrom4([4]byte{255, 255, 255, 255}), !internal && (a.IsLinkLocalUnicast() || Metadata(a)):
			return &Forbidden{a.String()}
		}
		return nil
	}
}

// Send sends a message once, signed as of now. gone: the receiver wants no more of them. Any answer but 2xx is an error.
func Send(ctx context.Context, c *http.Client, url string, key []byte, m Message, now time.Time) (gone bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, Timeout)
	defer cancel()
	req, err := Request(ctx, url, key, m, now)
	if err != nil {
		return false, err
	}
	res, err := c.Do(req)
	if err != nil {
		return false, err
	}
	defer res.Body.Close()                                       //nolint:errcheck // only read
	_, _ = io.Copy(io.Discard, io.LimitReader(res.Body, 64<<10)) // the status is what counts
	if res.StatusCode/100 == 2 {
		return false, nil
	}
	return res.StatusCode == http.StatusGone, fmt.Errorf("the receiver answered %s", res.Status)
}

// Request is a message as it is sent, signed as of now.
func Request(ctx context.Context, url string, key []byte, m Message, now time.Time) (*http.Request, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(m.Body))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("User-Agent", "semper-webhook/1")
	req.Header.Set(HeaderID, m.ID)
	req.Header.Set(HeaderTimestamp, strconv.FormatInt(now.Unix(), 10))
	req.Header.Set(HeaderSignature, Sign(key, m.ID, now, m.Body))
	return req, nil
}

// Bounds of sending again.
const (
	backoffMin = time.Second
	backoffMax = 5 * time.Minute
	// KeepTrying is how long a message is sent again before it is given up.
	KeepTrying = 24 * time.Hour
)

// Next is how long to wait after the n-th failure in a row, from 1: twice as long each time, with the upper half of it left to chance so that
// receivers that come back are not met by everybody at once.
func Next(n int, r *rand.Rand) time.Duration {
	d := backoffMax
	if n < 10 {
		d = min(backoffMax, backoffMin<<max(0, n-1))
	}
	return d/2 + time.Duration(r.Int64N(int64(d/2)+1))
}
