package http1

import (
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"
)

// parsed is the request of a head.
func parsed(t *testing.T, raw []byte) *Request {
	t.Helper()
	var r Request
	if n, err := r.Parse(raw, &Default); err != nil || n != len(raw) {
		t.Fatalf("%q: %d, %v", raw, n, err)
	}
	return &r
}

func answered(t *testing.T, asked Asked, raw []byte) *Response {
	t.Helper()
	var r Response
	if n, err := r.Parse(raw, &DefaultResponse, asked); err != nil || n != len(raw) {
		t.Fatalf("%q: %d, %v", raw, n, err)
	}
	return &r
}

func edit(t *testing.T, set, add []Line, remove ...string) *Edit {
	t.Helper()
	e, err := NewEdit(set, add, remove)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func TestForward(t *testing.T) {
	t.Parallel()
	base := Forward{ClientIP: []byte("192.0.2.7"), Proto: "https", RequestID: []byte("id"), Via: "edge"}
	with := func(change func(*Forward)) Forward {
		f := base
		change(&f)
		return f
	}
	for _, tc := range []struct {
		name    string
		raw     []byte
		forward Forward
		want    []byte
	}{
		{"order and bytes", lines("GET /a?b=c;d&%zz HTTP/1.1", "x-A:1", "Host: H.example:80", "X-B: \t two  words ", "x-A: 3"), base,
			lines("GET /a?b=c;d&%zz HTTP/1.1", "Host: H.example:80", "x-A:1", "X-B: \t two  words ", "x-A: 3",
				"X-Forwarded-For: 192.0.2.7", "X-Forwarded-Host: H.example:80", "X-Forwarded-Proto: https", "X-Request-Id: id", "Via: 1.1 edge")},
		{"mark of a copy", lines("GET / HTTP/1.1", "Host: h", "Semper-Shadow: 1", "semper_shadow: 1"), Forward{Trusted: true}, lines("GET / HTTP/1.1", "Host: h", "X-Forwarded-Host: h")},
		{"copy", lines("GET / HTTP/1.1", "Host: h"), Forward{Shadow: true}, lines("GET / HTTP/1.1", "Host: h", "X-Forwarded-Host: h", "Semper-Shadow: 1")},
		{"empty query", lines("GET /? HTTP/1.1", "Host: h"), Forward{}, lines("GET /? HTTP/1.1", "Host: h", "X-Forwarded-Host: h")},
		{"trusted", lines("GET / HTTP/1.1", "Host: h", "X-Forwarded-For: 1.1.1.1", "X-Forwarded-Host: outer", "X-Forwarded-Proto: gopher", "Forwarded: for=1",
			"X-Forwarded-For: 2.2.2.2, 3.3.3.3", "X-Forwarded-For:", "X_Forwarded_For: 9", "X-Request-Id: theirs", "Via: 1.0 outer"), with(func(f *Forward) { f.Trusted = true }),
			lines("GET / HTTP/1.1", "Host: h", "X-Forwarded-Host: outer", "X-Forwarded-Proto: gopher", "Forwarded: for=1", "Via: 1.0 outer",
				"X-Forwarded-For: 1.1.1.1, 2.2.2.2, 3.3.3.3, 192.0.2.7", "X-Request-Id: id", "Via: 1.1 edge")},
		{"trusted, named", lines("GET / HTTP/1.1", "Host: h", "Connection: X-Forwarded-For, x-forwarded-host, via, traceparent, x-mine", "X-Forwarded-For: 1.1.1.1", "X-Forwarded-Host: outer", "Via: 1.0 outer", "traceparent: t", "X-Mine: 1"),
			with(func(f *Forward) { f.Trusted, f.Via, f.RequestID, f.Proto = true, "", nil, "" }),
			lines("GET / HTTP/1.1", "Host: h", "X-Forwarded-Host: outer", "Via: 1.0 outer", "traceparent: t", "X-Forwarded-For: 1.1.1.1, 192.0.2.7")},
		{"trace", lines("GET / HTTP/1.1", "Host: h", "traceparent: theirs", "tracestate: a=b", "TraceState: c=d"), Forward{TraceParent: []byte("own"), TraceState: []byte("e=f")},
			lines("GET / HTTP/1.1", "Host: h", "X-Forwarded-Host: h", "traceparent: own", "tracestate: e=f")},
		{"rewritten", lines("GET /a?b HTTP/1.1", "Host: h", "X-A: 1", "x-a: 2", "X-B: 3", "X-C: 4"),
			Forward{Path: []byte("/x"), Query: []byte("y"), NewQuery: true, Host: []byte("i"), ForwardedHost: []byte("j"), Extra: []byte("X-Extra: 1\r\n"),
				Edit: edit(t, []Line{{"X-A", "own"}}, []Line{{"X-B", "more"}}, "X-c")},
			lines("GET /x?y HTTP/1.1", "Host: i", "X-B: 3", "X-Forwarded-Host: j", "X-Extra: 1", "X-A: own", "X-B: more")},
		{"query removed", lines("GET /a?b HTTP/1.1", "Host: h"), Forward{NewQuery: true}, lines("GET /a HTTP/1.1", "Host: h", "X-Forwarded-Host: h")},
		{"close", lines("GET / HTTP/1.1", "Host: h"), Forward{Close: true}, lines("GET / HTTP/1.1", "Host: h", "X-Forwarded-Host: h", "Connection: close")},
		{"close and trailers", lines("GET / HTTP/1.1", "Host: h", "TE: trailers"), Forward{Close: true}, lines("GET / HTTP/1.1", "Host: h", "X-Forwarded-Host: h", "Connection: close, TE", "TE: trailers")},
		{"upgrade not passed on", lines("GET / HTTP/1.1", "Host: h", "Connection: upgrade", "Upgrade: websocket"), Forward{}, lines("GET / HTTP/1.1", "Host: h", "X-Forwarded-Host: h")},
		{"post without content", lines("POST / HTTP/1.1", "Host: h"), Forward{}, lines("POST / HTTP/1.1", "Host: h", "X-Forwarded-Host: h", "Content-Length: 0")},
		{"length with zeros", lines("PUT / HTTP/1.1", "Host: h", "Content-Length: 0007"), Forward{}, lines("PUT / HTTP/1.1", "Host: h", "X-Forwarded-Host: h", "Content-Length: 7")},
	} {
		if got := AppendRequest(nil, parsed(t, tc.raw), &tc.forward); string(got) != string(tc.want) {
			t.Errorf("%s:\n%s\nwant\n%s", tc.name, got, tc.want)
		}
	}
}

func TestAnswer(t *testing.T) {
	t.Parallel()
	a := Answer{Method: GET, Minor: 1, Release: []byte("r7"), RequestID: []byte("id"), Via: "edge", Close: true,
		Edit: edit(t, []Line{{"Server", "own"}}, nil, "X-Powered-By")}
	got := AppendResponse(nil, answered(t, Asked{Method: GET}, lines("HTTP/1.1 299 Own Words", "Server: x", "X-Powered-By: y", "X-Semper-Release: r99", "X-Request-Id: theirs", "X-Semper-Error: no", "ETag: W/\"z\"", "Content-Length: 3")), &a)
	want := lines("HTTP/1.1 299 Own Words", "ETag: W/\"z\"", "Content-Length: 3", "Connection: close", "X-Semper-Release: r7", "X-Request-Id: id", "Via: 1.1 edge", "Server: own")
	if string(got) != string(want) {
		t.Errorf("%s\nwant\n%s", got, want)
	}
	up := answered(t, Asked{Upgrade: []byte("x/1")}, lines("HTTP/1.1 101 x", "Connection: upgrade", "Upgrade: X/1"))
	got, want = AppendResponse(nil, up, &Answer{Minor: 1, Close: true}), lines("HTTP/1.1 101 x", "Connection: Upgrade", "Upgrade: X/1")
	if string(got) != string(want) {
		t.Errorf("%s\nwant\n%s", got, want)
	}
}

func TestEditRefuses(t *testing.T) {
	t.Parallel()
	for _, l := range []Line{{"Host", "a"}, {"content-length", "1"}, {"Transfer-Encoding", "chunked"}, {"Connection", "close"}, {"X-Forwarded-Any", "1"}, {"X-Semper-Error", "x"},
		{"", "a"}, {"a b", "a"}, {"a:", "a"}, {"X-A", "a\r\nX-B: b"}, {"X-A", "\x00"}} {
		_, set := NewEdit([]Line{l}, nil, nil)
		_, add := NewEdit(nil, []Line{l}, nil)
		if !errors.Is(set, ErrEdit) || !errors.Is(add, ErrEdit) {
			t.Errorf("%q: %v, %v", l, set, add)
		}
	}
	if _, err := NewEdit(nil, nil, []string{"host"}); !errors.Is(err, ErrEdit) {
		t.Error(err)
	}
}

func TestRequestID(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		fields []string
		want   string
	}{
		{[]string{"X-Request-Id: abc"}, "abc"},
		{[]string{"X-Request-Id: abc", "X-Request-Id: abc"}, ""},
		{[]string{"X-Request-Id:"}, ""},
		{[]string{"X-Request-Id: a b"}, ""},
		{[]string{"X-Request-Id: a\xff"}, ""},
		{[]string{"X-Request-Id: " + strings.Repeat("a", 128)}, strings.Repeat("a", 128)},
		{[]string{"X-Request-Id: " + strings.Repeat("a", 129)}, ""},
	} {
		r := parsed(t, lines(append([]string{"GET / HTTP/1.1", "Host: a"}, tc.fields...)...))
		if got := string(r.RequestID(true)); got != tc.want {
			t.Errorf("%q: %q", tc.fields, got)
		}
		if r.RequestID(false) != nil {
			t.Errorf("%q is believed of anybody", tc.fields)
		}
	}
}

func TestAccessors(t *testing.T) {
	t.Parallel()
	raw := lines("GET http://Shop.Example.:8080/x%2Fy/../z?q HTTP/1.1", "Host: other", "X-A: 1", "x-a: 2", "Cookie: c", "Connection: x-b", "X-B: 3")
	r := parsed(t, raw)
	moved := append([]byte(nil), raw...)
	r.Rebase(moved)
	clear(raw)
	for i, pair := range [][2]string{
		{string(r.MethodName()), "GET"}, {string(r.Path()), "/x%2Fy/../z"}, {string(r.Query()), "q"}, {string(r.Host()), "Shop.Example.:8080"},
		{string(r.HostName()), "Shop.Example."}, {string(r.AppendHostName(nil)), "shop.example"}, {string(r.CanonicalPath(nil)), "/z"}, {string(r.Get(Cookie)), "c"}, {string(r.Get(Referer)), ""},
	} {
		if pair[0] != pair[1] {
			t.Errorf("%d: %q, want %q", i, pair[0], pair[1])
		}
	}
	if v, ok := r.Lookup("X-a"); !ok || string(v) != "1" {
		t.Errorf("%q, %v", v, ok)
	}
	if _, ok := r.Lookup("X"); ok || !r.Has(Cookie) || r.Has(Referer) {
		t.Error("what is not there")
	}
	if k, name, value := r.Field(3); r.Fields() != 6 || k != Cookie || string(name) != "Cookie" || string(value) != "c" || !r.Forwards(3) || r.Forwards(4) || r.Forwards(5) {
		t.Error(k, string(name), string(value))
	}
	if want := UnusualForm | UnusualPath; r.Unusual != want || r.Form != AbsoluteForm {
		t.Errorf("unusual %b, want %b", r.Unusual, want)
	}
}

func TestRefusal(t *testing.T) {
	t.Parallel()
	var r Request
	_, err := r.Parse([]byte("CONNECT a:1 HTTP/1.1\r\n"), &Default)
	var e *Error
	if !errors.As(err, &e) || !strings.HasPrefix(err.Error(), "method: ") {
		t.Fatal(err)
	}
	answer := e.Refusal()
	answer.Date = AppendDate(nil, time.Date(1994, 11, 6, 9, 49, 37, 0, time.FixedZone("", 3600)))
	answer.RequestID, answer.RetryAfter = []byte("id"), 3
	whole := AppendRefusal(nil, &answer)
	got := answered(t, Asked{Method: HEAD}, AppendRefusal(nil, &Refusal{Status: 599, NoContent: true}))
	if got.Status != 599 || string(got.Reason()) != "Unknown" || !got.KeepAlive || got.Declared != int64(len("599 Unknown\n\n")) {
		t.Errorf("%+v", got)
	}
	w := (wire{lim: DefaultResponse, response: true}).read(whole)
	if w.fault != nil || len(w.messages) != 1 || len(w.in) != 0 {
		t.Fatal(w)
	}
	m := w.messages[0]
	if m.keep || m.start != "405 Method Not Allowed" || m.body != "405 Method Not Allowed\n"+e.Reason+"\nrequest id\n" {
		t.Error(m)
	}
	for _, f := range []string{"Date: Sun, 06 Nov 1994 08:49:37 GMT", "X-Semper-Error: method", "Retry-After: 3", "X-Request-Id: id", "Allow: " + allowed, "Cache-Control: no-store"} {
		if !strings.Contains(string(whole), f+"\r\n") {
			t.Errorf("no %q in\n%s", f, whole)
		}
	}
}

// TestNames: the table that finds kinds finds each of them.
func TestNames(t *testing.T) {
	t.Parallel()
	for k := Other + 1; k < numKinds; k++ {
		name := kindNames[k]
		for _, s := range []string{name, strings.ToUpper(name)} {
			if got := kindOf([]byte(s)); got != k {
				t.Errorf("%s is taken for %d, not %d", s, got, k)
			}
		}
		for i := range name {
			other := []byte(name)
			if other[i] = 'z'; other[i] != name[i] && kindOf(other) == k && k != OtherForwarded {
				t.Errorf("%s is taken for %s", other, name)
			}
		}
		if got := kindOf([]byte(name + "x")); got != Other && got != OtherForwarded {
			t.Errorf("%sx is taken for %d", name, got)
		}
		if dashed := strings.ReplaceAll(name, "-", "_"); dashed != name && isAlias([]byte(dashed)) != aliased.has(k) {
			t.Errorf("alias of %s: %v", name, !aliased.has(k))
		}
	}
	for _, name := range kindNames {
		if len(name) > 24 {
			t.Errorf("%s has more than three words", name)
		}
	}
	if numKinds > 64 {
		t.Error("a set of kinds has 64 bits")
	}
}

// TestReset: nothing of a message is in the next one.
func TestReset(t *testing.T) {
	t.Parallel()
	r := parsed(t, lines("OPTIONS http://a/./b?c HTTP/1.1", "Host: a", "X_A: 1", "X_A: 1", "Connection: upgrade", "Upgrade: x", "TE: trailers"))
	s := answered(t, Asked{Method: HEAD}, lines("HTTP/1.1 200 OK", "Content-Length: 5"))
	if _, err := r.Parse(nil, &Default); err != nil {
		t.Fatal(err)
	}
	r.Reset()
	s.Reset()
	// What stays is memory: the table's, and first, which counts only where has says so.
	for _, h := range []*head{&r.head, &s.head} {
		if len(h.fields) > 0 {
			t.Error("fields are left")
		}
		h.fields, h.first, h.under = nil, [numKinds]uint16{}, false
	}
	if !reflect.DeepEqual(*r, Request{}) || !reflect.DeepEqual(*s, Response{}) {
		t.Errorf("%+v\n%+v", *r, *s)
	}
}

// TestFaults: whoever is refused learns why, and by a status of those that Error names.
func TestFaults(t *testing.T) {
	t.Parallel()
	for d := fine + 1; d < numDefects; d++ {
		q, s := requestErrors[d], responseErrors[d]
		if q.Word == "" || q.Reason == "" || StatusText(q.Status) == "Unknown" || s.Status != 502 || s.Word != q.Word {
			t.Errorf("%d: %+v, %+v", d, q, s)
		}
	}
}
