package edge

import (
	"fmt"
	"html"
	"net/http"
	"strconv"
	"strings"

	"semper/edge/message"
	"semper/edge/route"
)

// A refusal is an answer of the edge itself.
type refusal struct {
	status int
	word   string // for X-Semper-Error
	text   string
	retry  int // seconds, for Retry-After; 0 for none
	close  bool
}

// The edge's own answers.
var (
	refuseMethod    = refusal{status: http.StatusMethodNotAllowed, word: "method", text: "This server does not open tunnels."}
	refuseTarget    = refusal{status: http.StatusBadRequest, word: "bad-target", text: "The request's target is not a path this server forwards.", close: true}
	refuseHost      = refusal{status: http.StatusBadRequest, word: "bad-host", text: "The request's Host is not a host name.", close: true}
	refuseRoute     = refusal{status: http.StatusNotFound, word: "no-route", text: "No app answers here."}
	refuseBackend   = refusal{status: http.StatusServiceUnavailable, word: "no-backend", text: "The app has no instance that is ready.", retry: 1}
	refuseHeld      = refusal{status: http.StatusServiceUnavailable, word: "hold-limit", text: "The app is on hold, and no more requests can wait for it.", retry: 5}
	refuseConnect   = refusal{status: http.StatusServiceUnavailable, word: "connect", text: "The app's instances do not take connections.", retry: 1}
	refuseBroken    = refusal{status: http.StatusBadGateway, word: "bad-gateway", text: "The app broke off before it answered."}
	refuseTimeout   = refusal{status: http.StatusGatewayTimeout, word: "timeout", text: "The app did not answer in time."}
	refuseUpgrade   = refusal{status: http.StatusBadGateway, word: "bad-upgrade", text: "The app changed to a protocol that was not asked for.", close: true}
	refuseCut       = refusal{status: http.StatusServiceUnavailable, word: "cut", text: "The release that had this request is gone: its time to drain has passed.", retry: 1}
	refuseBusy      = refusal{status: http.StatusServiceUnavailable, word: "busy", text: "The app has as much to do as it can.", retry: 1}
	refuseRate      = refusal{status: http.StatusTooManyRequests, word: "rate-limit", text: "There were too many requests. Come back later."}
	refuseLarge     = refusal{status: http.StatusRequestEntityTooLarge, word: "large-body", text: "The request's body is larger than it may be.", close: true}
	refuseHead      = refusal{status: http.StatusRequestHeaderFieldsTooLarge, word: "large-head", text: "The request's head is larger than it may be.", close: true}
	refuseChanged   = refusal{status: http.StatusServiceUnavailable, word: "changed", text: "What is served here has changed meanwhile. Ask again.", retry: 1}
	refuseBody      = refusal{status: http.StatusBadRequest, word: "bad-body", text: "The request's body did not arrive whole.", close: true}
	refuseSlowBody  = refusal{status: http.StatusRequestTimeout, word: "slow-body", text: "The request's body did not arrive in time.", close: true}
	refuseTransport = refusal{status: http.StatusBadGateway, word: "bad-response", text: "The app answered with something that is not HTTP.", close: true}
)

// answer sends the refusal: page, if there is one, else a page of its own where a browser asks.
func (f refusal) answer(w http.ResponseWriter, r *http.Request, id string, page *route.ErrorPage) {
	h := w.Header()
	h.Set(message.ErrorWord, f.word)
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	if id != "" {
		h.Set(message.RequestID, id)
	}
	if f.retry > 0 {
		h.Set("Retry-After", strconv.Itoa(f.retry))
	}
	if f.close && r.ProtoMajor == 1 {
		h.Set("Connection", "close")
	}
	body := fmt.Sprintf("%d %s\n%s\n", f.status, http.StatusText(f.status), f.text)
	if id != "" {
		body += "request " + id + "\n"
	}
	h.Set("Content-Type", "text/plain; charset=utf-8")
	if strings.Contains(r.Header.Get("Accept"), "text/html") {
		h.Set("Content-Type", "text/html; charset=utf-8")
		title := html.EscapeString(fmt.Sprintf("%d %s", f.status, http.StatusText(f.status)))
		body = "<!doctype html><meta charset=utf-8><title>" + title + "</title><h1>" + title + "</h1><p>" +
			html.EscapeString(f.text) + "</p><p><small>request " + html.EscapeString(id) + "</small></p>\n"
	}
	if page != nil {
		h.Set("Content-Type", page.Type)
		body = string(page.Body)
	}
	h.Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(f.status)
	if r.Method != http.MethodHead {
		w.Write([]byte(body)) //nolint:errcheck // a client that is gone misses nothing
	}
}

// examine refuses what no route should have to look at, and makes the rest canonical.
func examine(r *http.Request) (host string, bad *refusal) {
	switch {
	case r.Method == http.MethodConnect:
		return "", &refuseMethod
	case r.RequestURI == "*" || r.URL.Opaque != "":
		return "", &refuseTarget
	case !message.ValidHost(r.Host):
		return "", &refuseHost
	}
	if _, ok := message.CanonicalPath(r.URL); !ok {
		return "", &refuseTarget
	}
	return message.CanonicalHost(r.Host), nil
}
