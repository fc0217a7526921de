// Package refusal has the answers of the edge itself to requests that get none from an app: what is said, and how.
package refusal

import (
	"fmt"
	"html"
	"net/http"
	"strconv"
	"strings"

	"semper/edge/message"
	"semper/edge/route"
)

// A Refusal is an answer of the edge itself.
type Refusal struct {
	Status int
	Word   string // for X-Semper-Error; empty where nothing is wrong
	Text   string
	Retry  int // seconds, for Retry-After; 0 for none
	Close  bool
}

// The edge's own answers.
var (
	Method = Refusal{Status: http.StatusMethodNotAllowed, Word: "method", Text: "This server does not open tunnels."}
	Target = Refusal{Status: http.StatusBadRequest, Word: "bad-target", Text: "The request's target is not a path this server forwards.", Close: true}
	Host   = Refusal{Status: http.StatusBadRequest, Word: "bad-host", Text: "The request's Host is not a host name.", Close: true}
	// Misdirected is for a host that the connection's certificate is not for.
	Misdirected = Refusal{Status: http.StatusMisdirectedRequest, Word: "misdirected", Text: "This connection was opened for another host: use one for this host."}
	Route       = Refusal{Status: http.StatusNotFound, Word: "no-route", Text: "No app answers here."}
	Backend     = Refusal{Status: http.StatusServiceUnavailable, Word: "no-backend", Text: "The app has no instance that is ready.", Retry: 1}
	// The next three are for those who cannot wait for the end of a hold, by what bounds it.
	HoldRequests = Refusal{Status: http.StatusServiceUnavailable, Word: "hold-requests", Text: "The app takes no requests for a moment, and as many wait for it as may.", Retry: 5}
	HoldBytes    = Refusal{Status: http.StatusServiceUnavailable, Word: "hold-bytes", Text: "The app takes no requests for a moment, and those that wait bring as much content as may be.", Retry: 5}
	HoldAge      = Refusal{Status: http.StatusServiceUnavailable, Word: "hold-age", Text: "The app took no requests for longer than one may wait.", Retry: 5}
	Connect      = Refusal{Status: http.StatusServiceUnavailable, Word: "connect", Text: "The app's instances do not take connections.", Retry: 1}
	Broken       = Refusal{Status: http.StatusBadGateway, Word: "bad-gateway", Text: "The app broke off before it answered."}
	Timeout      = Refusal{Status: http.StatusGatewayTimeout, Word: "timeout", Text: "The app did not answer in time."}
	Upgrade      = Refusal{Status: http.StatusBadGateway, Word: "bad-upgrade", Text: "The app changed to a protocol that was not asked for.", Close: true}
	// Plain is for an extended CONNECT (RFC 8441), whose client would take the app's 200 for a WebSocket.
	Plain = Refusal{Status: http.StatusBadGateway, Word: "no-upgrade", Text: "The app does not change to the protocol that was asked for."}
	Files = Refusal{Status: http.StatusServiceUnavailable, Word: "no-files", Text: "The directory that answers here is not there.", Retry: 5}
	// Socket is for one of what the edge answers itself.
	Socket      = Refusal{Status: http.StatusBadRequest, Word: "no-upgrade", Text: "There is no WebSocket here."}
	Cut         = Refusal{Status: http.StatusServiceUnavailable, Word: "cut", Text: "The release that had this request is gone: its time to drain has passed.", Retry: 1}
	Busy        = Refusal{Status: http.StatusServiceUnavailable, Word: "busy", Text: "The app has as much to do as it can.", Retry: 1}
	Memory      = Refusal{Status: http.StatusServiceUnavailable, Word: "memory", Text: "This server has no memory left for another request.", Retry: 1, Close: true}
	Descriptors = Refusal{Status: http.StatusServiceUnavailable, Word: "descriptors", Text: "This server has no descriptor left to reach the app by.", Retry: 1, Close: true}
	Rate        = Refusal{Status: http.StatusTooManyRequests, Word: "rate-limit", Text: "There were too many requests. Come back later."}
	Large       = Refusal{Status: http.StatusRequestEntityTooLarge, Word: "large-body", Text: "The request's body is larger than it may be.", Close: true}
	Head        = Refusal{Status: http.StatusRequestHeaderFieldsTooLarge, Word: "large-head", Text: "The request's head is larger than it may be.", Close: true}
	Body        = Refusal{Status: http.StatusBadRequest, Word: "bad-body", Text: "The request's body did not arrive whole.", Close: true}
	SlowBody    = Refusal{Status: http.StatusRequestTimeout, Word: "slow-body", Text: "The request's body did not arrive in time.", Close: true}
	Transport   = Refusal{Status: http.StatusBadGateway, Word: "bad-response", Text: "The app answered with something that is not HTTP.", Close: true}
)

// Answer sends the refusal: page, if there is one, else a page of its own where a browser asks.
func (f Refusal) Answer(w http.ResponseWriter, r *http.Request, id string, page *route.ErrorPage) {
	h := w.Header()
	if f.Word != "" {
		h.Set(message.ErrorWord, f.Word)
	}
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	if id != "" {
		h.Set(message.RequestID, id)
	}
	if f.Retry > 0 {
		h.Set("Retry-After", strconv.Itoa(f.Retry))
	}
	if f.Close && r.ProtoMajor == 1 {
		h.Set("Connection", "close")
	}
	body := fmt.Sprintf("%d %s\n%s\n", f.Status, http.StatusText(f.Status), f.Text)
	if id != "" {
		body += "request " + id + "\n"
	}
	h.Set("Content-Type", "text/plain; charset=utf-8")
	if strings.Contains(r.Header.Get("Accept"), "text/html") {
		h.Set("Content-Type", "text/html; charset=utf-8")
		title := html.EscapeString(fmt.Sprintf("%d %s", f.Status, http.StatusText(f.Status)))
		body = "<!doctype html><meta charset=utf-8><title>" + title + "</title><h1>" + title + "</h1><p>" +
			html.EscapeString(f.Text) + "</p><p><small>request " + html.EscapeString(id) + "</small></p>\n"
	}
	if page != nil {
		h.Set("Content-Type", page.Type)
		body = string(page.Body)
	}
	h.Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(f.Status)
	if r.Method != http.MethodHead {
		w.Write([]byte(body)) //nolint:errcheck // a client that is gone misses nothing
	}
}

// Examine refuses what no route should have to look at, and makes the rest canonical.
func Examine(r *http.Request) (host string, bad *Refusal) {
	switch {
	case r.Method == http.MethodConnect:
		return "", &Method
	case r.RequestURI == "*" || r.URL.Opaque != "":
		return "", &Target
	case !message.ValidHost(r.Host):
		return "", &Host
	}
	if _, ok := message.CanonicalPath(r.URL); !ok {
		return "", &Target
	}
	return message.CanonicalHost(r.Host), nil
}
