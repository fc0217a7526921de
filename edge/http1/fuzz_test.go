package http1

import (
	"slices"
	"strings"
	"testing"
)

// What the fuzzers hold on to: nothing panics; an outcome does not depend on the pieces the bytes came in; what is sent
// reads as the same message; and the parser of grammar_test.go agrees.

const maxFuzz = 1 << 10

func FuzzRequest(f *testing.F) {
	for _, tc := range requestRows {
		if len(tc.raw) <= maxFuzz {
			f.Add([]byte(tc.raw))
		}
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		if len(raw) > maxFuzz {
			return
		}
		w := everySplit(t, wire{lim: Default, forward: Forward{ClientIP: []byte("192.0.2.7"), Via: "x", Upgrade: true}}, raw)
		reparses(t, w)
		want, ok := plainRequest(raw)
		agree(t, raw, w, want, ok)
	})
}

func FuzzResponse(f *testing.F) {
	for _, tc := range responseRows {
		if len(tc.raw) <= maxFuzz {
			f.Add([]byte(tc.raw), tc.asked.Method == HEAD, len(tc.asked.Upgrade) > 0, tc.client)
		}
	}
	f.Fuzz(func(t *testing.T, raw []byte, head, upgrade bool, minor uint8) {
		if len(raw) > maxFuzz {
			return
		}
		asked := Asked{Method: GET}
		if head {
			asked.Method = HEAD
		}
		if upgrade {
			asked.Upgrade = []byte("websocket")
		}
		w := everySplit(t, wire{lim: DefaultResponse, response: true, asked: asked, answer: Answer{Method: asked.Method, Minor: minor & 1}}, raw)
		reparses(t, w)
		want, ok := plainResponse(raw, asked)
		agree(t, raw, w, want, ok)
	})
}

// agree compares the first message with what the plain parser found.
func agree(t *testing.T, raw []byte, w *wire, want message, ok bool) {
	t.Helper()
	if ok != (len(w.messages) > 0) {
		t.Fatalf("%q: the plain parser says %v (%v), the engine\n%v", raw, ok, want, w)
	}
	if !ok {
		return
	}
	got := w.messages[0]
	if got.done != want.done {
		t.Fatalf("%q: the plain parser says\n%v\nthe engine\n%v", raw, want, w)
	}
	if !got.done {
		got.body, want.body, got.trailers, want.trailers = "", "", nil, nil
	}
	for _, list := range [][]string{got.fields, got.trailers} {
		for i, f := range list {
			name, value, _ := strings.Cut(f, ":")
			list[i] = strings.ToLower(name) + ":" + value
		}
	}
	if got.start != want.start || got.host != want.host && want.host != "" || got.framing != want.framing || got.body != want.body || got.keep != want.keep ||
		!slices.Equal(got.fields, want.fields) || !slices.Equal(got.trailers, want.trailers) {
		t.Fatalf("%q: the plain parser says\n%v\nthe engine\n%v", raw, want, got)
	}
}
