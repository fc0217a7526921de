package conformance

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strings"

	"golang.org/x/net/http2"
)

// h2Rows are those of HTTP/2 alone, 76 to 83.
func h2Rows() []Row {
	return append(h2MessageRows(), h2FloodRows()...)
}

func h2MessageRows() []Row {
	field := func(name, value string) Case {
		return muxed(fmt.Sprintf("%.20q: %.20q", name, value), get("/r", name, value))
	}
	pseudo := func(name string, fields ...string) Case { return muxed(name, fields) }
	const m, s, a, p = ":method", ":scheme", ":authority", ":path"
	length := func(name, declared string, data ...string) Case {
		return Case{Name: name, Want: []Outcome{malformed()}, Mux: func(h mux) error {
			if err := h.open(1, len(data) == 0, post("content-length", declared)...); err != nil {
				return err
			}
			for i, d := range data {
				if err := h.data(1, i == len(data)-1, d); err != nil {
					return err
				}
			}
			return nil
		}}
	}
	return []Row{
		{76, "h2: fields of one connection", "RFC 9113 8.2.2", []Case{field("transfer-encoding", "chunked"), field("connection", "keep-alive"), field("te", "gzip"), field("upgrade", "h2c"), field("keep-alive", "timeout=5"), field("proxy-connection", "keep-alive")}},
		{77, "h2: bytes that a field cannot have", "RFC 9113 8.2.1", []Case{
			field("x-a", "a\r\nX-B: b"), field("x-a", "a\rb"), field("x-a", "a\nb"), field("x-a", "a\x00b"), field("x-a", " a"), field("x-a", "a "), field("x-a", "\ta"),
			field("X-A", "a"), field("x:a", "a"), field("x a", "a"), field("", "a"), field("x-a\r\nx-b", "a"), field("x\x80", "a"), field("x-a\x00", "a"),
		}},
		{78, "h2: content-length that is not the sum of DATA", "RFC 9113 8.1.1; HAProxy CVE-2026-33555", []Case{
			length("too few", "5", "hel"), length("too many", "3", "hello"), length("too many, in a frame of their own", "5", "hello", "xx"), length("none", "5"), length("two frames", "9", "hello", "xx"), length("no number", "+5", "hello"), length("a list", "5, 5", "hello"),
		}},
		{79, "h2: pseudo-fields", "RFC 9113 8.3", []Case{
			pseudo("two paths", m, "GET", s, "https", a, "{host}", p, "/r", p, "/s"), pseudo("two methods", m, "GET", m, "POST", s, "https", a, "{host}", p, "/r"),
			pseudo("late", m, "GET", s, "https", a, "{host}", "x-a", "b", p, "/r"), pseudo("unknown", m, "GET", s, "https", a, "{host}", p, "/r", ":x", "y"), pseudo("of a response", m, "GET", s, "https", a, "{host}", p, "/r", ":status", "200"),
			pseudo("empty path", m, "GET", s, "https", a, "{host}", p, ""), pseudo("no path", m, "GET", s, "https", a, "{host}"), pseudo("no method", s, "https", a, "{host}", p, "/r"), pseudo("no scheme", m, "GET", a, "{host}", p, "/r"),
			pseudo("path with a space", m, "GET", s, "https", a, "{host}", p, "/r HTTP/1.1\r\nX: y"), pseudo("path with CRLF", m, "GET", s, "https", a, "{host}", p, "/r\r\nX:y"), pseudo("path with a gap", m, "GET", s, "https", a, "{host}", p, "/r x"),
			pseudo("path without a slash", m, "GET", s, "https", a, "{host}", p, "r"), pseudo("method with a space", m, "GET /x HTTP/1.1\r\nX: y\r\n\r\nGET", s, "https", a, "{host}", p, "/r"), pseudo("empty method", m, "", s, "https", a, "{host}", p, "/r"),
			pseudo("authority with a slash", m, "GET", s, "https", a, "{host}/x", p, "/r"), pseudo("scheme with CRLF", m, "GET", s, "https\r\nX: y", a, "{host}", p, "/r"),
			{Name: "in a trailer", Want: []Outcome{malformed()}, Mux: func(h mux) error {
				if err := h.open(1, false, post()...); err != nil {
					return err
				}
				return h.open(1, true, p, "/s")
			}},
		}},
		{80, "h2: :authority differs from host", "RFC 9113 8.3.1", []Case{
			muxed("another host", get("/r", "host", "evil.example")), muxed("both are routed", get("/r", "host", "{other}")),
			muxed("neither", []string{m, "GET", s, "https", p, "/r"}, malformed(404, 421)),
		}},
	}
}

const flood = 20_000

// calmed: the connection was given up, or at least every stream of the flood was.
func calmed() []Outcome {
	return []Outcome{
		{Name: "GOAWAY", Status: []int{400, 431}, Reset: true, Reach: Anything, Check: capped},
		{Name: "closed", Broken: true, Reach: Anything, Check: capped},
	}
}

// few checks that few of a flood's requests came through.
func few(s *Seen) error {
	if n := len(s.Messages); n > 1000 {
		return fmt.Errorf("%d requests reached the backend", n)
	}
	return nil
}

// capped checks that, and that the connection was given up.
func capped(s *Seen) error {
	if err := few(s); err != nil {
		return err
	}
	if s.GoAway == nil && s.Ended == Open {
		return errors.New("the connection goes on after the flood")
	}
	return nil
}

// floods is a case that does one thing again and again, until nobody listens any more.
func floods(name string, reply Reply, before func(*h2Conn) error, again func(*h2Conn, int) error) Case {
	return Case{Name: name, Reply: reply, Want: calmed(), H2: func(h *h2Conn) error {
		if err := before(h); err != nil {
			return err
		}
		h.hurry(true) //nolint:errcheck // the next write tells
		for i := range flood {
			if err := again(h, i); err != nil {
				return err
			}
		}
		if err := h.hurry(false); err != nil {
			return err
		}
		h.fence()
		return nil
	}}
}

func h2FloodRows() []Row {
	none := func(*h2Conn) error { return nil }
	hang := Reply{End: Hang, Early: true}
	waiting := func(h *h2Conn) error { return h.open(1, false, post()...) }
	raw := func(kind http2.FrameType, flags http2.Flags, stream uint32, payload []byte) func(*h2Conn, int) error {
		return func(h *h2Conn, _ int) error {
			return h.write(func(f *http2.Framer) error { return f.WriteRawFrame(kind, flags, stream, payload) })
		}
	}
	one := binary.BigEndian.AppendUint32(nil, 1)
	setting := append([]byte{0, byte(http2.SettingInitialWindowSize)}, one...)
	zero := Outcome{Name: "ended", Reset: true, Status: []int{408}, Reach: Anything}
	return []Row{
		{81, "h2: streams opened to be reset", "CVE-2023-44487, CVE-2025-8671", []Case{
			floods("by the client", hang, none, func(h *h2Conn, i int) error {
				id := uint32(2*i + 1)
				if err := h.open(id, true, get("/r")...); err != nil {
					return err
				}
				return h.write(func(f *http2.Framer) error { return f.WriteRSTStream(id, http2.ErrCodeCancel) })
			}),
			{Name: "by the client, over h3", Only: []Transport{H3}, Reply: hang, Want: []Outcome{
				{Name: "bounded", Reach: Anything, Check: few}, {Name: "bounded, and some answered", Status: []int{200, 400, 502, 503}, Reach: Anything, Check: few},
			}, Mux: func(h mux) error {
				for i := range uint32(flood / 4) {
					if err := errors.Join(h.open(2*i+1, true, get("/r")...), h.leave(2*i+1)); err != nil {
						return err
					}
				}
				return nil
			}},
			floods("by the server", hang, none, func(h *h2Conn, i int) error {
				id := uint32(2*i + 1)
				if err := h.open(id, true, get("/r")...); err != nil {
					return err
				}
				return raw(http2.FrameWindowUpdate, 0, id, make([]byte, 4))(h, i)
			}),
		}},
		{82, "h2: field blocks without end", "CVE-2023-45288, RFC 9113 10.5.1", []Case{
			floods("CONTINUATION", Reply{}, func(h *h2Conn) error {
				block := h.block(get("/r")...)
				return h.write(func(f *http2.Framer) error {
					return f.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: block})
				})
			}, func(h *h2Conn, i int) error {
				block := h.block(fmt.Sprintf("x-%d", i), strings.Repeat("v", 1000))
				return h.write(func(f *http2.Framer) error { return f.WriteContinuation(1, false, block) })
			}),
			floods("empty CONTINUATION", Reply{}, func(h *h2Conn) error {
				block := h.block(get("/r")...)
				return h.write(func(f *http2.Framer) error {
					return f.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: block})
				})
			}, func(h *h2Conn, _ int) error {
				return h.write(func(f *http2.Framer) error { return f.WriteContinuation(1, false, nil) })
			}),
			{Name: "HPACK bomb", Want: []Outcome{malformed(431)}, H2: bomb},
		}},
		{83, "h2: frames that cost more than they say", "RFC 9113 10.5", []Case{
			floods("SETTINGS", Reply{}, none, raw(http2.FrameSettings, 0, 0, setting)),
			floods("PING", Reply{}, none, raw(http2.FramePing, 0, 0, make([]byte, 8))),
			floods("empty DATA", hang, waiting, raw(http2.FrameData, 0, 1, nil)),
			floods("PRIORITY", Reply{}, none, raw(http2.FramePriority, 0, 3, []byte{0, 0, 0, 0, 1})),
			floods("WINDOW_UPDATE", hang, waiting, raw(http2.FrameWindowUpdate, 0, 1, one)),
			{Name: "window of 0 held open", Settings: []http2.Setting{{ID: http2.SettingInitialWindowSize, Val: 0}}, Want: []Outcome{zero},
				Reply: Reply{Raw: ok + "Content-Length: 6\r\n\r\npoison"},
				Needs: func(t *Target) string {
					if t.Deadlines.Write <= 0 {
						return "the target states no deadline for clients that take nothing"
					}
					return ""
				}, H2: func(h *h2Conn) error {
					err := h.open(1, true, get("/r")...)
					h.wait(h.r.target.late(h.r.target.Deadlines.Write), func() bool { return len(h.resets) > 0 || h.goAway != nil })
					return err
				}},
		}},
	}
}

// bomb refers ten thousand times to one large entry of the table.
func bomb(h *h2Conn) error {
	block := h.block(get("/r", "x-bomb", strings.Repeat("b", 3900))...)
	for range 10_000 {
		block = append(block, 0x80|62) // the newest entry of the dynamic table
	}
	h.change(func() { h.stream(1).opened = true })
	return h.write(func(f *http2.Framer) error {
		if err := f.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: block[:8000], EndStream: true}); err != nil {
			return err
		}
		return f.WriteContinuation(1, true, block[8000:])
	})
}
