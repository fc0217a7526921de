package edge

import (
	"net"
	"net/http"
	"strings"
	"time"

	"semper/edge/config"
	"semper/edge/flight"
	"semper/edge/gate"
	"semper/edge/ledger"
	"semper/edge/message"
	"semper/edge/metrics"
	"semper/edge/refusal"
	"semper/edge/tunnel"
	"semper/edge/witness"
)

// A switched is what is left of an exchange behind a change of protocol, for as long as its tunnel lasts. There may be very
// many: what is not needed to end it is not here.
type switched struct {
	attempt *attempt
	gate    *gate.Gate
	entry   ledger.Entry
	seen    *witness.Lasting
	status  int
}

// switchProtocols answers 101, and gives both connections to a tunnel, by which the request goes on without x.
func (x *exchange) switchProtocols(a *attempt, resp *http.Response) {
	back, ok := resp.Body.(net.Conn)
	if x.upgrade == "" || !ok || !strings.EqualFold(resp.Header.Get("Upgrade"), x.upgrade) {
		a.cancel(nil)
		resp.Body.Close() //nolint:errcheck // not wanted
		why := refusal.Plain
		if resp.StatusCode == http.StatusSwitchingProtocols {
			why = refusal.Upgrade
		}
		x.fail(why, ledger.EdgeErrors)
		return
	}
	h := resp.Header
	message.Stamp(h, x.release, x.id)
	client, err := message.Switch(x.w, h, x.rule.Policy.Headers.Response)
	if err != nil {
		back.Close() //nolint:errcheck // nobody is there for it
		x.done(ledger.Gone)
		return
	}
	x.status, x.headed = client.Status, true
	x.seen.Count(metrics.Upgraded)
	t := x.edge.drivers.tunnels.New(tunnel.Options{
		Client: client.Conn, Backend: back, WebSocket: strings.EqualFold(x.upgrade, "websocket"),
		Patience: x.rule.Policy.Timeouts.Stream,
	})
	s := &switched{attempt: a, gate: x.gate, entry: x.entry, seen: x.seen.Last(), status: x.status}
	x.switched, x.gate, x.backend, a.over = true, nil, nil, true
	x.edge.handlers.Add(1)
	a.backend.become(a, flight.WebSocket, t)
	if age := x.rule.Policy.MaxStreamAge; age > 0 {
		now := time.Now()
		t.Plan(tunnel.Farewell{Soft: now.Add(config.Spread(age)), Force: now.Add(age)})
	}
	t.Start(s, client.Early)
}

// Ended implements tunnel.Owner.
func (s *switched) Ended(how ledger.End) {
	a, e := s.attempt, s.attempt.backend.edge
	s.entry.End(how)
	a.tunnel.Close()
	a.backend.drop(a.backend.end(a))
	if s.gate != nil {
		s.gate.Leave()
	}
	e.tell(s.seen.Request(), how, witness.End{Status: s.status})
	e.leave()
}
