package edge

import (
	"bufio"
	"errors"
	"net"
	"net/http"
	"strings"
	"time"

	"semper/edge/ledger"
	"semper/edge/message"
	"semper/edge/metrics"
	"semper/edge/refusal"
	"semper/edge/tunnel"
)

// switchProtocols answers 101 and relays until one side has enough.
func (x *exchange) switchProtocols(a *attempt, resp *http.Response) {
	back, ok := resp.Body.(net.Conn)
	if x.upgrade == "" || !ok || !strings.EqualFold(resp.Header.Get("Upgrade"), x.upgrade) {
		a.cancel(nil)
		resp.Body.Close() //nolint:errcheck // not wanted
		x.fail(refusal.Upgrade, ledger.EdgeErrors)
		return
	}
	defer back.Close() //nolint:errcheck // the tunnel is over
	client, buffered, err := http.NewResponseController(x.w).Hijack()
	if err != nil {
		x.fail(refusal.Upgrade, ledger.EdgeErrors)
		return
	}
	defer client.Close() //nolint:errcheck // the tunnel is over
	x.status, x.headed = resp.StatusCode, true
	x.seen.Count(metrics.Upgraded)
	t := tunnel.New(tunnel.Options{Client: client, Read: buffered.Reader, Backend: back, WebSocket: strings.EqualFold(x.upgrade, "websocket"),
		Patience: x.rule.Policy.Timeouts.Stream})
	if err := x.answer101(buffered.Writer, resp); err != nil {
		x.done(ledger.Gone)
		return
	}
	a.backend.become(a, classWebSocket, t)
	if age := x.rule.Policy.MaxStreamAge; age > 0 {
		end := time.Now().Add(age)
		t.Plan(tunnel.Farewell{Soft: time.Now().Add(spread(age)), Force: end})
	}
	x.done(t.Run())
}

func (x *exchange) answer101(w *bufio.Writer, resp *http.Response) error {
	h := resp.Header
	up := h["Upgrade"]
	message.RemoveHopByHop(h)
	delete(h, message.ErrorWord)
	h["Connection"], h["Upgrade"] = []string{"Upgrade"}, up
	h[message.Release], h[message.RequestID] = []string{x.release}, []string{x.id}
	message.Edit(h, x.rule.Policy.Headers.Response)
	_, err := w.WriteString("HTTP/1.1 101 Switching Protocols\r\n")
	if err == nil {
		err = h.Write(w)
	}
	if err == nil {
		_, err = w.WriteString("\r\n")
	}
	return errors.Join(err, w.Flush())
}
