package conformance

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"semper/edge/conformance/wire"
)

// timeRows are those about clients that are slow, and about who a client is, 70 to 75 and 85.
func timeRows() []Row {
	return append(tlsRows(), append(slowRows(), append(proxyRows(), idleRow())...)...)
}

func tlsRows() []Row {
	other := func(t *Target) string {
		if t.Other == "" {
			return "the target has no second host with a certificate of its own"
		}
		return ""
	}
	misdirected := []Outcome{declined(421)}
	return []Row{
		{70, "SNI of one host, Host of another", "RFC 9110 15.5.20", []Case{
			{Name: "h1", Only: []Transport{TLS}, Needs: other, Want: misdirected, Steps: []Step{send("GET /r HTTP/1.1\r\nHost: {other}\r\n\r\n")}},
			{Name: "h2 and h3", Only: []Transport{H2, H3}, Needs: other, Want: misdirected, Mux: func(h mux) error {
				return h.open(1, true, ":method", "GET", ":scheme", "https", ":authority", "{other}", ":path", "/r")
			}},
		}},
		{71, "TLS 1.3 early data", "RFC 8470", []Case{{Name: "tickets offer none", Only: []Transport{TLS}, Run: noEarlyData}, {Name: "offered by QUIC", Only: []Transport{H3}, Run: noEarlyData3}}},
	}
}

func slowRows() []Row {
	dl := func(of func(Deadlines) time.Duration, what string) func(*Target) string {
		return func(t *Target) string {
			if of(t.Deadlines) <= 0 {
				return "the target states no deadline " + what
			}
			return ""
		}
	}
	headOf := func(d Deadlines) time.Duration { return d.Head }
	bodyOf := func(d Deadlines) time.Duration { return d.Body }
	writeOf := func(d Deadlines) time.Duration { return d.Write }
	quarter := func(of func(Deadlines) time.Duration) func(Deadlines) time.Duration {
		return func(d Deadlines) time.Duration { return of(d) / 4 }
	}
	late := []Outcome{stopped(408), dropped()}
	steady := strings.Repeat("x", 64<<10)
	return []Row{
		{72, "head that never ends", "RFC 9112 9.5", []Case{
			{Name: "dribbled", Needs: dl(headOf, "for heads"), Want: late, Steps: []Step{send("GET /r HTTP/1.1\r\nHost: {host}\r\nX-A: "), {Do: Dribble, Data: "a", Every: quarter(headOf)}}},
			{Name: "empty lines", Needs: dl(headOf, "for heads"), Want: append(late, refused(400)), Steps: []Step{{Do: Dribble, Data: "\r\n", Every: quarter(headOf)}}},
			{Name: "silent", Needs: dl(headOf, "for heads"), Want: late, Steps: []Step{send("GET /r HT"), {Do: Quiet, Every: headOf}}},
		}},
		{73, "body below any rate", "RFC 9112 9.5", []Case{
			{Name: "dribbled", Needs: dl(bodyOf, "for bodies"), Want: late, Steps: []Step{send(head("POST /r", "Content-Length: 100000")), {Do: Dribble, Data: "a", Every: quarter(bodyOf)}}, Mux: dribble},
			{Name: "dribbled in chunks", Needs: dl(bodyOf, "for bodies"), Want: late, Steps: []Step{send(chunked("")), {Do: Dribble, Data: "1\r\na\r\n", Every: quarter(bodyOf)}}},
			{Name: "steady", Needs: dl(bodyOf, "for bodies"), Want: []Outcome{served(body(steady))}, Answers: 2,
				Steps: []Step{send(head("POST /r", fmt.Sprintf("Content-Length: %d", len(steady)))), {Do: Steady, Data: steady, Every: quarter(bodyOf)}, send(probe)}, Mux: steadily(steady)},
		}},
		{74, "client that never reads", "a bounded buffer and a deadline", []Case{
			{Name: "endless answer", Only: []Transport{Plain, TLS, H3}, Needs: dl(writeOf, "for clients that take nothing"), Run: neverReads,
				Reply: Reply{Raw: ok + "Content-Length: 1099511627776\r\n\r\n" + strings.Repeat("x", 64<<10), Endless: true}},
		}},
	}
}

// maxBuffered is what may be under way between the backend and a client that takes nothing: both kernels' buffers, at
// their largest, and some of the proxy's.
const maxBuffered = 64 << 20

// neverReads asks for an endless answer and takes none of it.
func neverReads(r *run) error {
	if r.tr == H3 {
		return neverReads3(r)
	}
	conn, err := dial(r.ctx, r.target, r.tr, r.target.addr(r.tr), r.target.Host, "http/1.1")
	if err != nil {
		return err
	}
	defer conn.Close()
	if _, err := conn.Write([]byte(r.target.fill(head("GET /r")))); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(r.ctx, r.target.late(r.target.Deadlines.Write))
	defer cancel()
	return r.held(ctx)
}

// held is nil when the proxy has let go of the backend before ctx is over, and has not taken too much of its answer.
func (r *run) held(ctx context.Context) error {
	all, over := r.target.Backend.Wait(ctx, func(all []Message) bool { return len(all) > 0 && !all[0].Open || sent(all) > maxBuffered })
	switch {
	case sent(all) > maxBuffered:
		return fmt.Errorf("the proxy took more than %d bytes for a client that takes none", maxBuffered)
	case !over:
		return fmt.Errorf("the backend is still held, %d bytes into its answer", sent(all))
	}
	return nil
}

func sent(all []Message) (n int64) {
	for _, m := range all {
		n = max(n, m.Sent)
	}
	return n
}

func proxyRows() []Row {
	const (
		v1  = "PROXY TCP4 203.0.113.9 127.0.0.1 4711 80\r\n"
		sig = "\r\n\r\n\x00\r\nQUIT\n"
		v2  = sig + "\x21\x11\x00\x0c\xcb\x00\x71\x09\x7f\x00\x00\x01\x12\x67\x00\x50"
	)
	named := func(_ *Target, q *wire.Request) error {
		if !slices.ContainsFunc(q.Fields, func(f wire.Field) bool { return strings.Contains(f.Value, "203.0.113.9") }) {
			return fmt.Errorf("the backend is not told the address that the PROXY header gives")
		}
		return nil
	}
	trusted := func(name, raw string, want ...Outcome) Case {
		c := bad(name, raw+head("GET /r"), want...)
		c.Proxy = true
		return c
	}
	no := []Outcome{refused(400), dropped()}
	return []Row{{75, "PROXY protocol", "proxy-protocol.txt; HAProxy f30d6ac", []Case{
		bad("version 1 from who is not trusted", v1+head("GET /r"), no...), bad("version 2 from who is not trusted", v2+head("GET /r"), no...),
		trusted("version 1", v1, served(named)), trusted("version 2", v2, served(named)),
		trusted("version 2 with a TLV", sig+"\x21\x11\x00\x10\xcb\x00\x71\x09\x7f\x00\x00\x01\x12\x67\x00\x50\x04\x00\x01x", served(named)),
		trusted("none", "", no...), trusted("version 1 without an end", "PROXY TCP4 "+strings.Repeat("1", 200)+"\r\n", no...), trusted("version 1 of another family", "PROXY TCP4 ::1 ::1 1 1\r\n", no...),
		trusted("version 1 with port 65536", "PROXY TCP4 203.0.113.9 127.0.0.1 65536 80\r\n", no...), trusted("version 1 with bare LF", strings.Replace(v1, "\r\n", "\n", 1), no...),
		trusted("TLV longer than the header", sig+"\x21\x11\x00\x10\xcb\x00\x71\x09\x7f\x00\x00\x01\x12\x67\x00\x50\x04\x00\xffx", no...),
		trusted("version 2 too short", sig+"\x21\x11\x00\x04\xcb\x00\x71\x09", no...), trusted("version 3", sig+"\x31\x11\x00\x0c\xcb\x00\x71\x09\x7f\x00\x00\x01\x12\x67\x00\x50", no...),
	}}}
}

func idleRow() Row {
	needs := func(t *Target) string {
		if t.Deadlines.Idle <= 0 {
			return "the target states no deadline for idle tunnels"
		}
		return ""
	}
	ended := []Outcome{
		{Name: "ended", Status: []int{101}, Close: true, Reach: Anything, Check: abandoned},
		{Name: "ended, as a stream", Status: []int{200}, Reset: true, Reach: Anything, Check: allOver},
	}
	shake := []Step{send(head("GET /r", upgrade)), {Do: AwaitResponse}}
	const bye, frame = "\x88\x82\x00\x00\x00\x00\x03\xe8", "\x81\x81\x00\x00\x00\x00a"
	idle := func(d Deadlines) time.Duration { return d.Idle }
	return Row{85, "tunnels without traffic", "an idle deadline", []Case{
		{Name: "idle", Needs: needs, Reply: Reply{Raw: accept, Tunnel: true}, Want: ended, Steps: append(shake, Step{Do: Quiet, Every: idle}), Mux: socketOpened("")},
		{Name: "frames after close", Needs: needs, Reply: Reply{Raw: accept + "\x88\x02\x03\xe8", Tunnel: true}, Want: ended,
			Steps: append(shake, send(bye, strings.Repeat(frame, 100)), Step{Do: Quiet, Every: idle}), Mux: socketOpened(bye + strings.Repeat(frame, 100))},
	}}
}
