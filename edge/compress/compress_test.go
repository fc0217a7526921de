package compress

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
	"go.uber.org/goleak"
	"pgregory.net/rapid"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestChoose(t *testing.T) {
	t.Parallel()
	both := []string{Zstd, Gzip}
	for accept, want := range map[string]string{
		"": "", "gzip": Gzip, "GZIP, deflate": Gzip, "gzip, zstd": Zstd, "gzip;q=1, zstd;q=0.5": Gzip, "zstd;q=0, gzip": Gzip, "*": Zstd, "*;q=0": "",
		"zstd;q=0, *": Gzip, "br": "", "identity;q=1, gzip;q=0.5": "", "gzip;q=x": "", "gzip;q=2": "", "x-gzip": Gzip, "gzip ; q=0.1": Gzip, "gzip;q=0.000": "",
	} {
		if got := Choose([]string{accept}, both); got != want {
			t.Errorf("%q: %q, want %q", accept, got, want)
		}
	}
	if got := Choose([]string{"gzip", "zstd;q=0.9"}, []string{Zstd, Gzip, "br"}); got != Gzip {
		t.Errorf("two lines: %q", got)
	}
}

var text = strings.Repeat("all work and no play ", 200)

// respond has a handler answer with a header and text, and gives what the client gets.
func respond(t *testing.T, p Policy, method string, asked, answer http.Header, status int) (*http.Response, string) {
	t.Helper()
	r := httptest.NewRequest(method, "/", nil)
	r.Header = asked
	rec := httptest.NewRecorder()
	w := New(rec, r, p)
	for k, v := range answer {
		w.Header()[k] = v
	}
	w.WriteHeader(status)
	if method != http.MethodHead && status != 304 {
		for i := 0; i < len(text); i += 1000 {
			if _, err := w.Write([]byte(text[i:min(i+1000, len(text))])); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	resp := rec.Result()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp, string(b)
}

// decode undoes a coding.
func decode(t testing.TB, coding, body string) string {
	t.Helper()
	var r io.Reader = strings.NewReader(body)
	var err error
	switch coding {
	case Gzip:
		r, err = gzip.NewReader(r)
	case Zstd:
		var d *zstd.Decoder
		if d, err = zstd.NewReader(r, zstd.WithDecoderConcurrency(1)); err == nil {
			defer d.Close()
			r = d
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestWhatIsCompressed(t *testing.T) {
	t.Parallel()
	header := func(pairs ...string) http.Header {
		h := http.Header{"Accept-Encoding": {"gzip, zstd"}, "Content-Type": {"text/html; charset=utf-8"}, "Content-Length": {"4200"}}
		for i := 0; i < len(pairs); i += 2 {
			h.Set(pairs[i], pairs[i+1])
		}
		return h
	}
	p := Policy{Codings: []string{Gzip, Zstd}, Minimum: 1000}
	for _, tc := range []struct {
		name, method  string
		asked, answer http.Header
		status        int
		coding, vary  string
	}{
		{"html", "GET", header(), header(), 200, Gzip, "Accept-Encoding"},
		{"zstd", "GET", header("Accept-Encoding", "zstd"), header(), 200, Zstd, "Accept-Encoding"},
		{"an error page", "GET", header(), header(), 404, Gzip, "Accept-Encoding"},
		{"nothing taken", "GET", http.Header{}, header(), 200, "", "Accept-Encoding"},
		{"a head", "HEAD", header(), header(), 200, Gzip, "Accept-Encoding"},
		{"json", "GET", header(), header("Content-Type", "application/problem+json"), 200, Gzip, "Accept-Encoding"},
		{"varies already", "GET", header(), header("Vary", "Cookie, accept-encoding"), 200, Gzip, "Cookie, accept-encoding"},
		{"encoded already", "GET", header(), header("Content-Encoding", "br"), 200, "br", ""},
		{"a range", "GET", header("Range", "bytes=0-9"), header("Content-Range", "bytes 0-9/100"), 206, "", ""},
		{"events", "GET", header(), header("Content-Type", "text/event-stream"), 200, "", ""},
		{"an image", "GET", header(), header("Content-Type", "image/png"), 200, "", ""},
		{"small", "GET", header(), header("Content-Length", "999"), 200, "", ""},
		{"of no type", "GET", header(), header("Content-Type", ""), 200, "", ""},
		{"not to be transformed", "GET", header(), header("Cache-Control", "public, No-Transform"), 200, "", ""},
	} {
		resp, body := respond(t, p, tc.method, tc.asked, tc.answer, tc.status)
		h := resp.Header
		if h.Get("Content-Encoding") != tc.coding || h.Get("Vary") != tc.vary {
			t.Errorf("%s: %v", tc.name, h)
		}
		ours := tc.coding == Gzip || tc.coding == Zstd
		if ours != (h.Get("Content-Length") == "") {
			t.Errorf("%s: the length is of other bytes: %v", tc.name, h)
		}
		if ours && tc.method != "HEAD" {
			if len(body) > len(text)/4 || decode(t, tc.coding, body) != text {
				t.Errorf("%s: %d bytes, which are not the text", tc.name, len(body))
			}
		}
	}
}

func TestTagsAreWeak(t *testing.T) {
	t.Parallel()
	p := Policy{Codings: []string{Gzip}}
	asked := http.Header{"Accept-Encoding": {"gzip"}, "If-None-Match": {`"x", W/"a"`}}
	for answer, want := range map[string]string{`"a"`: `W/"a"`, `W/"a"`: `W/"a"`, "": ""} {
		resp, _ := respond(t, p, "GET", asked, http.Header{"Content-Type": {"text/plain"}, "Etag": {answer}, "Accept-Ranges": {"bytes"}}, 200)
		if got := resp.Header.Get("Etag"); got != want || resp.Header.Get("Accept-Ranges") != "" {
			t.Errorf("%s became %v", answer, resp.Header)
		}
	}
	for answer, want := range map[string]string{`"a"`: `W/"a"`, `"x"`: `"x"`, `"b"`: `"b"`} {
		if resp, _ := respond(t, p, "GET", asked, http.Header{"Etag": {answer}}, 304); resp.Header.Get("Etag") != want {
			t.Errorf("304 with %s: %v", answer, resp.Header)
		}
	}
}

// TestAFlushBringsAll: what was written can be read behind each flush, and behind the end nothing is missing.
func TestAFlushBringsAll(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		coding := rapid.SampledFrom([]string{Gzip, Zstd}).Draw(rt, "coding")
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.Header.Set("Accept-Encoding", coding)
		rec := httptest.NewRecorder()
		w := New(rec, r, Policy{Codings: []string{coding}})
		w.Header().Set("Content-Type", "text/plain")
		var all bytes.Buffer
		for range rapid.IntRange(1, 6).Draw(rt, "pieces") {
			piece := rapid.SliceOfN(rapid.Byte(), 0, 3000).Draw(rt, "piece")
			all.Write(piece)
			if _, err := w.Write(piece); err != nil {
				rt.Fatal(err)
			}
			if err := w.FlushError(); err != nil {
				rt.Fatal(err)
			}
			if got := begun(t, coding, rec.Body.Bytes(), all.Len()); !bytes.Equal(got, all.Bytes()) {
				rt.Fatalf("behind a flush %d of %d bytes can be read", len(got), all.Len())
			}
		}
		if err := w.Close(); err != nil {
			rt.Fatal(err)
		}
		if decode(t, coding, rec.Body.String()) != all.String() {
			rt.Fatal("the whole is not what was written")
		}
	})
}

// begun decodes n bytes of a stream that is not at its end.
func begun(t *testing.T, coding string, body []byte, n int) []byte {
	t.Helper()
	var r io.Reader
	switch coding {
	case Gzip:
		g, err := gzip.NewReader(bytes.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		r = g
	default:
		d, err := zstd.NewReader(bytes.NewReader(body), zstd.WithDecoderConcurrency(1))
		if err != nil {
			t.Fatal(err)
		}
		defer d.Close()
		r = d
	}
	got := make([]byte, n)
	m, err := io.ReadFull(r, got)
	if err != nil && n > 0 {
		return got[:m]
	}
	return got
}

func TestAnAbandonedAnswerIsNotWhole(t *testing.T) {
	t.Parallel()
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	r.Header.Set("Accept-Encoding", "gzip")
	rec := httptest.NewRecorder()
	w := New(rec, r, Policy{Codings: []string{Gzip}})
	w.Header().Set("Content-Type", "text/plain")
	w.Write([]byte("half")) //nolint:errcheck // read below
	w.FlushError()          //nolint:errcheck // read below
	w.Abandon()
	g, err := gzip.NewReader(rec.Body)
	if err != nil {
		t.Fatal(err)
	}
	if b, err := io.ReadAll(g); err == nil || string(b) != "half" {
		t.Errorf("read %q, %v", b, err)
	}
}

func BenchmarkResponse(b *testing.B) {
	for _, coding := range []string{Gzip, Zstd} {
		b.Run(coding, func(b *testing.B) {
			r := httptest.NewRequest(http.MethodGet, "/", nil)
			r.Header.Set("Accept-Encoding", coding)
			p := Policy{Codings: []string{coding}}
			page := []byte(text)
			b.ReportAllocs()
			b.SetBytes(int64(len(page)))
			for b.Loop() {
				w := New(discard{http.Header{"Content-Type": {"text/html"}}}, r, p)
				w.Write(page) //nolint:errcheck // discarded
				w.Close()     //nolint:errcheck // discarded
			}
		})
	}
}

type discard struct{ h http.Header }

func (d discard) Header() http.Header         { return d.h }
func (d discard) Write(p []byte) (int, error) { return len(p), nil }
func (d discard) WriteHeader(int)             {}
