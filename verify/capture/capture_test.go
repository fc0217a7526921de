package capture

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/google/go-cmp/cmp"
)

// words is an exchange as one line.
func words(e Exchange) string {
	if e.Left != "" {
		return string(e.Left)
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s%s %s", e.Request.Method, e.Request.Authority, e.Request.URL.RequestURI(), e.Request.Body)
	if c := e.Request.Header.Get("Cookie"); c != "" {
		fmt.Fprintf(&b, " cookie=%s", c)
	}
	if e.Response != nil {
		fmt.Fprintf(&b, " → %d %s", e.Response.Status, e.Response.Body)
	}
	return b.String()
}

func read(t *testing.T, name, text string, o Options) (all []string, err error) {
	t.Helper()
	r, err := NewReader(name, strings.NewReader(text), o)
	for err == nil {
		var e Exchange
		if e, err = r.Next(); err == nil {
			all = append(all, words(e))
		}
	}
	if errors.Is(err, io.EOF) {
		err = nil
	}
	return all, err
}

func packed(s string) string {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	io.WriteString(z, s) //nolint:errcheck // to memory
	z.Close()            //nolint:errcheck // the same
	return b.String()
}

// archive is a HAR file of entries.
func archive(entries ...string) string {
	return `{"comment":"x]}", "log":{"version":"1.2","creator":{"name":"a \"b\" {","version":"1"},"entries":[` + strings.Join(entries, ",\n") + `],"pages":[{}]}}` + "\n"
}

func TestHAR(t *testing.T) {
	t.Parallel()
	const get = `"startedDateTime":"2026-11-21T10:00:00.250+01:00","request":{"method":"GET","url":"https://shop.example/cart?n=1#top","httpVersion":"HTTP/2","headers":[{"name":":authority","value":"shop.example:8443"},{"name":"accept","value":"*/*"}],"cookies":[{"name":"a","value":"1"},{"name":"b","value":"2"}],"bodySize":0}`
	content := func(s string) string {
		return `"response":{"status":200,"headers":[{"name":"content-type","value":"text/plain"},{"name":"Content-Encoding","value":"gzip"}],"content":` + s + `}`
	}
	for name, tc := range map[string]struct{ entry, want string }{
		"text":         {`{` + get + `,` + content(`{"size":3,"text":"hey"}`) + `}`, "GET shop.example:8443/cart?n=1  cookie=a=1; b=2 → 200 hey"},
		"Base64":       {`{` + get + `,` + content(`{"size":3,"encoding":"base64","text":"aGV5"}`) + `}`, "GET shop.example:8443/cart?n=1  cookie=a=1; b=2 → 200 hey"},
		"packed":       {`{` + get + `,` + content(`{"size":3,"encoding":"base64","text":"`+base64.StdEncoding.EncodeToString([]byte(packed("hey")))+`"}`) + `}`, "GET shop.example:8443/cart?n=1  cookie=a=1; b=2 → 200 hey"},
		"no content":   {`{` + get + `,` + content(`{"size":3}`) + `}`, "GET shop.example:8443/cart?n=1  cookie=a=1; b=2"},
		"broken off":   {`{` + get + `,"response":{"status":0}}`, "GET shop.example:8443/cart?n=1  cookie=a=1; b=2"},
		"redirect":     {`{"request":{"method":"GET","url":"http://a/b"},"response":{"status":302,"redirectURL":"/c","headers":[{"name":"Location","value":"/c"}],"content":{"size":0}}}`, "GET a/b  → 302 "},
		"form":         {`{"request":{"method":"POST","url":"http://a/b","bodySize":5,"postData":{"mimeType":"application/x-www-form-urlencoded","params":[{"name":"a b","value":"ü"}]}}}`, "POST a/b a+b=%C3%BC"},
		"content":      {`{"request":{"method":"PUT","url":"http://a/b","postData":{"mimeType":"application/json","text":"{}"}}}`, "PUT a/b {}"},
		"parts":        {`{"request":{"method":"POST","url":"http://a/b","postData":{"mimeType":"multipart/form-data; boundary=x","params":[{"name":"f"}]}}}`, "not recorded"},
		"content gone": {`{"request":{"method":"POST","url":"http://a/b","bodySize":9}}`, "not recorded"},
		"WebSocket":    {`{"request":{"method":"GET","url":"wss://a/b"}}`, "not HTTP"},
		"data":         {`{"request":{"method":"GET","url":"data:text/plain,x"}}`, "not HTTP"},
		"too large":    {`{"x":"` + strings.Repeat("y", 100_000) + `"}`, "too large"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			const after = `{"request":{"method":"GET","url":"http://z/"}}`
			for _, text := range []string{archive(tc.entry, after), packed(archive(tc.entry, after))} {
				got, err := read(t, "x", text, Options{Responses: true, most: 90_000})
				if d := cmp.Diff([]string{tc.want, "GET z/ "}, got); d != "" || err != nil {
					t.Error(d, err)
				}
			}
		})
	}
	r, err := NewReader("x", strings.NewReader(archive(`{`+get+`}`)), Options{})
	if err != nil {
		t.Fatal(err)
	}
	e, err := r.Next()
	if err != nil || !e.At.Equal(time.Date(2026, 11, 21, 9, 0, 0, 250e6, time.UTC)) || e.Place != "x:1: entry 1" || e.Request.Header.Get("Accept") != "*/*" || e.Request.URL.Scheme != "https" {
		t.Errorf("%+v, %v", e, err)
	}
}

func TestBadFiles(t *testing.T) {
	t.Parallel()
	const entry = `{"request":{"method":"GET","url":"http://a/"}}`
	for text, want := range map[string]string{
		"":                                  "x is empty",
		" \n\n":                             "x is empty",
		"\n<html>":                          "x:2: it begins with '<'",
		"\x1f\x8b\x00x":                     "x begins as if it were compressed",
		`{"log":1}`:                         `x:1: the object with entries: there is '1', and not '{'`,
		`{"log":{"version":"1.2"}}`:         `x:1: there is no "entries" before this`,
		`{"log":{"entries":{}}}`:            `x:1: log.entries: there is '{'`,
		`{"log":{"entries":[`:               "x:1: it ends behind entry 0: unexpected EOF",
		"{\"log\":{\"entries\":[\n" + entry: "x:2: it ends behind entry 1",
		"{\"log\":{\"entries\":[\n" + entry + "]}":                                                                                     "x:2: it is cut off behind entry 1",
		"{\"log\":{\"entries\":[\n" + entry + " " + entry:                                                                              `x:2: '{' stands behind entry 1`,
		archive(entry, "\n{\"request\":\n{\"method\":7}}"):                                                                             "x:4: entry 2: request.method is a number where text belongs",
		archive("{\n\"request\":}"):                                                                                                    "x:2: entry 1: invalid character '}'",
		archive(`{}`):                                                                                                                  "x:1: entry 1: it has no request",
		archive(`{"request":{"method":"G T","url":"http://a/"}}`):                                                                      `entry 1: method "G T" is none`,
		archive(`{"request":{"method":"GET","url":"/a"}}`):                                                                             "entry 1: its URL has no scheme",
		archive(`{"request":{"method":"GET","url":"http://a/%zz?token=secret"}}`):                                                      `entry 1: its URL cannot be read: invalid URL escape "%zz"`,
		archive(`{"request":{"method":"GET","url":"http://a/","headers":[{"name":"a b","value":""}]}}`):                                `entry 1: a header field is named "a b"`,
		archive(`{"request":{"method":"GET","url":"http://a/","headers":[{"name":"a","value":"x\r\ny"}]}}`):                            "entry 1: the value of a has a line break",
		archive(`{"startedDateTime":"today","request":{"method":"GET","url":"http://a/"}}`):                                            `entry 1: startedDateTime "today"`,
		archive(`{"request":{"method":"GET","url":"http://a/"},"response":{"status":20}}`):                                             "entry 1: status 20 is none",
		archive(`{"request":{"method":"GET","url":"http://a/"},"response":{"status":200,"content":{"text":"!","encoding":"base64"}}}`): "entry 1: the response's content: illegal base64",
		archive(`{"request":{"method":"GET","url":"http://a/"},"response":{"status":200,"content":{"text":"!","encoding":"rot13"}}}`):  `in "rot13"`,
		`{"request":{"method":"GET","url":"http://a/"},"statuss":1}`:                                                                   `x:1: a recorded exchange as JSON: unknown key "statuss": did you mean "status"?`,
		"\n" + `{"status":200}`: "x:2: it has no request",
		"1 a\n":                 `x:1: a message begins with a line like`,
		"1 a b\n":               `x:1: message a: its time "b"`,
		"1 a":                   "x:1: a message begins here and is cut off",
		"1 a 1\nGET / HTTP/1.1\r\nHost: a\r\n\r\n\n🐵🙈🙉\nzzz\n": "x:7: a message begins",
	} {
		got, err := read(t, "x", text, Options{Responses: true})
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "secret") {
			t.Errorf("%.80q: %q, %v, and not %q", text, got, err, want)
		}
	}
	broken := errors.New("the disk is gone")
	if _, err := NewReader("x", iotest.ErrReader(broken), Options{}); !errors.Is(err, broken) {
		t.Error(err)
	}
}

// gorFile is GoReplay's.
func gorFile(messages ...string) string {
	return strings.Join(messages, "\n🐵🙈🙉\n") + "\n🐵🙈🙉\n"
}

func TestGor(t *testing.T) {
	t.Parallel()
	const get = "GET /a?b=c HTTP/1.1\r\nHost: shop.example\r\n\r\n"
	text := gorFile(
		"1 id1 1392348948672632600\n"+get,
		"1 id2 1392348948672632601 0\nPOST /p HTTP/1.1\r\nHost: h\r\nContent-Length: 15\r\n\r\nx\n🐵🙈🙉y",
		"2 id2 1392348948672632700 99\nHTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Encoding: gzip\r\n\r\n"+fmt.Sprintf("%x\r\n%s\r\n0\r\n\r\n", len(packed("hey")), packed("hey")),
		"1 id3 1392348948672632602\nGET /cut HTTP/1.1\r\nHost: h\r\nContent-Length: 90\r\n\r\nx",
		"1 id4 1392348948672632602\nnonsense\r\n\r\n",
		"3 id1 1\nHTTP/1.1 500 of a replay\r\n\r\n",
		"2 id1 1392348948672632800 1\nHTTP/1.1 204 No Content\r\n\r\n",
		"2 id9 1392348948672632800 1\nHTTP/1.1 204 No Content\r\n\r\n",
		"1 id5 1392348948672632603\nGET /alone HTTP/1.1\r\nHost: h\r\n\r\n",
	)
	got, err := read(t, "x.gor", text, Options{Responses: true})
	want := []string{"GET shop.example/a?b=c  → 204 ", "POST h/p x\n🐵🙈🙉y → 200 hey", "not recorded", "not HTTP", "without a request", "GET h/alone "}
	// What is left out because of nobody's request comes when it is met.
	if d := cmp.Diff(sortedEnds(want), sortedEnds(got)); d != "" || err != nil {
		t.Error(d, err)
	}
	got, err = read(t, "x.gor", packed(text), Options{})
	if d := cmp.Diff([]string{"GET shop.example/a?b=c ", "POST h/p x\n🐵🙈🙉y", "not recorded", "not HTTP", "GET h/alone "}, got); d != "" || err != nil {
		t.Error("without responses:", d, err)
	}
	r, err := NewReader("x", strings.NewReader("1 a 1392348948672632600\n"+get), Options{}) // cut off behind its last message
	if err != nil {
		t.Fatal(err)
	}
	if e, err := r.Next(); err != nil || e.At.UnixNano() != 1392348948672632600 || e.Request.URL.Path != "/a" {
		t.Errorf("%+v, %v", e, err)
	}
}

// sortedEnds is all without the place of what has no request.
func sortedEnds(all []string) []string {
	var out []string
	n := 0
	for _, s := range all {
		if s == string(NoRequest) {
			n++
		} else {
			out = append(out, s)
		}
	}
	return append(out, fmt.Sprint(n))
}

// A recording without responses must not be read into memory to wait for them.
func TestGorWaitsForSo(t *testing.T) {
	t.Parallel()
	const n = 3 * maxWaiting
	in, out := io.Pipe()
	go func() {
		for i := range n {
			fmt.Fprintf(out, "1 id%d %d\nGET /%d HTTP/1.1\r\nHost: h\r\n\r\n\n🐵🙈🙉\n", i, i, i) //nolint:errcheck // the reader tells
		}
		out.Close() //nolint:errcheck // a pipe
	}()
	r, err := NewReader("x", in, Options{Responses: true})
	if err != nil {
		t.Fatal(err)
	}
	g := 0
	for {
		e, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil || e.Request.URL.Path != fmt.Sprintf("/%d", g) {
			t.Fatalf("%d: %+v, %v", g, e, err)
		}
		g++
	}
	if g != n {
		t.Errorf("%d of %d", g, n)
	}
}

func TestLines(t *testing.T) {
	t.Parallel()
	text := `{"time":"2026-11-21T10:00:00Z","request":{"url":"http://a/b","header":{"host":["shop.example"],"cookie":["a=1"]}},"status":200,"header":{"content-type":["text/plain"]},"body":"hey"}` + "\n\n" +
		`{"request":{"method":"POST","url":"/c","header":{"Host":["h"]},"body_base64":"aGV5"},"status":0}` + "\n" +
		`{"request":{"method":"PUT","url":"/c","header":{"Host":["h"]},"body":{"a": 1}},"status":200,"body":[1, 2]}` + "\n" +
		`{"request":{"url":"/` + strings.Repeat("x", 100_000) + `"}}` + "\n" +
		`{"id":"3","endpoint":"GET /d","request":{"method":"CONNECT","url":"/d"}}`
	got, err := read(t, "x", "\xef\xbb\xbf"+text, Options{most: 90_000})
	if d := cmp.Diff([]string{"GET shop.example/b  cookie=a=1 → 200 hey", "POST h/c hey", `PUT h/c {"a": 1} → 200 [1, 2]`, "too large", "not HTTP"}, got); d != "" || err != nil {
		t.Error(d, err)
	}
}

func TestDecode(t *testing.T) {
	t.Parallel()
	for coding, want := range map[string]string{"gzip": "", "x-GZIP ": "", "identity": "", "deflate": "decoded already", "br": `"br" is not known`} {
		r, err := Decode(coding, strings.NewReader(packed("hey")))
		if want != "" {
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%s: %v", coding, err)
			}
			continue
		}
		b, err := io.ReadAll(r)
		if coding != "identity" && string(b) != "hey" || err != nil {
			t.Errorf("%s: %q, %v", coding, b, err)
		}
	}
	if b, err := Decode("gzip", strings.NewReader("")); err != nil || b == nil {
		t.Error("nothing at all:", err)
	}
	if r := response(200, http.Header{"Content-Encoding": {"br"}}, []byte("x")); r != nil {
		t.Error("what cannot be decoded is compared")
	}
}

func FuzzReader(f *testing.F) {
	f.Add(archive(`{"request":{"method":"GET","url":"http://a/"},"response":{"status":200,"content":{"text":"x"}}}`))
	f.Add(gorFile("1 a 1\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", "2 a 1\nHTTP/1.1 200 OK\r\n\r\nx"))
	f.Add(`{"request":{"url":"http://a/b"},"status":200}`)
	f.Fuzz(func(t *testing.T, text string) {
		r, err := NewReader("x", strings.NewReader(text), Options{Responses: true})
		for n := 0; err == nil; n++ {
			var e Exchange
			if e, err = r.Next(); err == nil && e.Left == "" && (e.Request.URL == nil || e.Request.Header == nil || e.Request.URL.Host != "") {
				t.Fatalf("%+v", e)
			}
			if n > len(text)+1 {
				t.Fatal("it never ends")
			}
		}
	})
}
