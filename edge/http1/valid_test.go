package http1

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// On valid traffic this engine and net/http must read the same, before it is forwarded and after.

// drawFields draws field lines that no rule of the edge touches.
func drawFields(t *rapid.T) (lines []string) {
	name := rapid.StringMatching(`X-[A-Za-z0-9!#$%&'*+.^|~-]{0,12}|Cookie|User-Agent|Accept|ETag`)
	value := rapid.StringMatching(`[!-~]([ \t!-~]{0,30}[!-~])?|`)
	for range rapid.IntRange(0, 6).Draw(t, "fields") {
		n := name.Draw(t, "name")
		if k := kindOf([]byte(n)); provenance.has(k) || k == SemperError {
			continue
		}
		ows := rapid.SampledFrom([]string{"", " ", "\t", "  "})
		lines = append(lines, n+":"+ows.Draw(t, "ows")+value.Draw(t, "value")+ows.Draw(t, "ows"))
	}
	return lines
}

// drawBody draws content and how it is framed: field lines, and the bytes behind the head.
func drawBody(t *rapid.T) (fields []string, wire string, content string, trailer []string) {
	content = rapid.StringOfN(rapid.RuneFrom([]rune("ab\r\n0;")), 0, 40, -1).Draw(t, "content")
	if rapid.Bool().Draw(t, "length") {
		return []string{fmt.Sprintf("Content-Length: %d", len(content))}, content, content, nil
	}
	var b strings.Builder
	for rest := content; rest != ""; {
		n := rapid.IntRange(1, len(rest)).Draw(t, "chunk")
		form := rapid.SampledFrom([]string{"%x\r\n", "%X\r\n", "0%x\r\n", "%x;a\r\n", "%x;a=\"b;c\"\r\n"}).Draw(t, "form")
		fmt.Fprintf(&b, form+"%s\r\n", n, rest[:n])
		rest = rest[n:]
	}
	b.WriteString("0\r\n")
	fields = []string{"Transfer-Encoding: chunked"}
	if rapid.Bool().Draw(t, "trailer") {
		trailer = []string{"X-Sum: " + rapid.StringMatching("[a-z0-9]{1,9}").Draw(t, "sum")}
		fields = append(fields, "Trailer: X-Sum")
		b.WriteString(trailer[0] + "\r\n")
	}
	b.WriteString("\r\n")
	return fields, b.String(), content, trailer
}

// netFields is a header as plain fields, sorted.
func netFields(h http.Header) (all []string) {
	for name, values := range h {
		for _, v := range values {
			all = append(all, strings.ToLower(name)+": "+v)
		}
	}
	slices.Sort(all)
	return all
}

func ownFields(m message) (all []string) {
	for _, f := range m.fields {
		name, value, _ := strings.Cut(f, ":")
		all = append(all, strings.ToLower(name)+":"+value)
	}
	slices.Sort(all)
	return all
}

func TestRequestsAsNetHTTP(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		method := rapid.SampledFrom([]string{"GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "REPORT"}).Draw(t, "method")
		target := rapid.StringMatching(`/([a-z0-9._~!$&'()*+,;=:@-]{1,8}/?){0,3}(\?[a-z0-9=&;%/?]{0,12})?`).Draw(t, "target")
		host := rapid.StringMatching(`[a-z][a-z0-9-]{0,8}(\.[a-z]{2,3})?(:[1-9][0-9]{0,3})?`).Draw(t, "host")
		head := append([]string{method + " " + target + " HTTP/1.1", "Host: " + host}, drawFields(t)...)
		content, trailer, wireBody := "", []string(nil), ""
		if rapid.Bool().Draw(t, "body") {
			var more []string
			more, wireBody, content, trailer = drawBody(t)
			head = append(head, more...)
		}
		if rapid.Bool().Draw(t, "close") {
			head = append(head, "Connection: close")
		}
		raw := append(lines(head...), wireBody...)
		w := (wire{lim: Default}).read(raw)
		if w.fault != nil || len(w.messages) != 1 || len(w.in) != 0 || !w.messages[0].done {
			t.Fatalf("%q\n%v", raw, w)
		}
		m := w.messages[0]
		if m.body != content || !slices.Equal(m.trailers, trailer) {
			t.Fatalf("%q\n%v", raw, m)
		}
		for i, wire := range [][]byte{raw, []byte(m.sent)} {
			r, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(wire)))
			if err != nil {
				t.Fatalf("%q: %v", wire, err)
			}
			got, err := io.ReadAll(r.Body)
			if err != nil || string(got) != content || r.Method+" "+r.RequestURI != m.start || r.Host != m.host || i == 0 && r.Close == m.keep {
				t.Fatalf("%q: %v %q %v\n%v", wire, err, got, r, m)
			}
			r.Header.Del("X-Forwarded-Host")
			r.Header.Del("Connection")
			r.Header.Del("Content-Length")
			r.Header.Del("Trailer")
			if fields := netFields(r.Header); !slices.Equal(fields, ownFields(m)) {
				t.Fatalf("%q: net/http has %q, this\n%v", wire, fields, m)
			}
			if len(trailer) > 0 && "X-Sum: "+r.Trailer.Get("X-Sum") != trailer[0] {
				t.Fatalf("%q: trailer %q", wire, r.Trailer)
			}
		}
	})
}

func TestResponsesAsNetHTTP(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		method := rapid.SampledFrom([]string{"GET", "HEAD", "POST"}).Draw(t, "method")
		status := rapid.SampledFrom([]int{200, 201, 204, 206, 302, 304, 404, 418, 500, 599}).Draw(t, "status")
		head := append([]string{fmt.Sprintf("HTTP/1.1 %d Some words", status)}, drawFields(t)...)
		fields, wireBody, content, trailer := drawBody(t)
		asked := Asked{Method: methodOf([]byte(method))}
		switch {
		case asked.Method == HEAD || status == 204 || status == 304:
			wireBody, content, trailer = "", "", nil
		case rapid.IntRange(0, 4).Draw(t, "until close") == 0:
			fields, wireBody, trailer = nil, content, nil
		}
		raw := append(lines(append(head, fields...)...), wireBody...)
		w := (wire{lim: DefaultResponse, response: true, asked: asked, answer: Answer{Minor: 1, Method: asked.Method}}).read(raw)
		if w.fault != nil || len(w.messages) != 1 || len(w.in) != 0 || !w.messages[0].done {
			t.Fatalf("%q\n%v", raw, w)
		}
		m := w.messages[0]
		if m.body != content || !slices.Equal(m.trailers, trailer) {
			t.Fatalf("%q\n%v", raw, m)
		}
		for _, wire := range [][]byte{raw, []byte(m.sent)} {
			r, err := http.ReadResponse(bufio.NewReader(bytes.NewReader(wire)), &http.Request{Method: method})
			if err != nil {
				t.Fatalf("%q: %v", wire, err)
			}
			got, err := io.ReadAll(r.Body)
			if err != nil || string(got) != content || r.Status != m.start {
				t.Fatalf("%q: %v %q\n%v", wire, err, got, m)
			}
			for _, k := range []string{"Connection", "Content-Length", "Trailer", "Transfer-Encoding"} {
				r.Header.Del(k)
			}
			if fields := netFields(r.Header); !slices.Equal(fields, ownFields(m)) {
				t.Fatalf("%q: net/http has %q, this\n%v", wire, fields, m)
			}
			if len(trailer) > 0 && "X-Sum: "+r.Trailer.Get("X-Sum") != trailer[0] {
				t.Fatalf("%q: trailer %q", wire, r.Trailer)
			}
		}
	})
}
