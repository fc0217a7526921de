package accesslog

import (
	"bytes"
	"encoding/json"
	"net/netip"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"semper/edge/trace"
)

// line is the line of e.
func line(f Format, e *Entry, change ...func(*Log)) string {
	l := &Log{}
	for _, c := range change {
		c(l)
	}
	r := newRing(l, 64)
	r.Write(e)
	var b []byte
	r.each(func(rec *record, s []byte) { b = newFormatter(f).append(b, rec, s) })
	return string(b)
}

func TestLinesOfAnOrdinaryRequest(t *testing.T) {
	t.Parallel()
	for f, want := range map[Format]string{
		JSON: `{"ts":"2026-11-21T07:30:45.123456Z","client":"192.0.2.17","method":"GET","scheme":"http","host":"www.example.org",` +
			`"target":"/articles/2026/11/how-it-works?page=2","protocol":"HTTP/1.1","status":200,"request_bytes":0,"response_bytes":5120,` +
			`"duration":0.001234,"upstream_duration":0.001100,"tries":1,"app":"shop","release":"r42","pool":"shop/production/web",` +
			`"route":"www.example.org/","instance":"shop/web.r42.3","referer":"https://www.example.org/articles/",` +
			`"user_agent":"Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36",` +
			`"request_id":"01jd3k9v6wq2a8r5","trace_id":"01000000000000000000000000000002","span_id":"0300000000000000"}` + "\n",
		Combined: `192.0.2.17 - - [21/Nov/2026:07:30:45 +0000] "GET /articles/2026/11/how-it-works?page=2 HTTP/1.1" 200 5120 ` +
			`"https://www.example.org/articles/" "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36" ` +
			`rt=0.001234 urt=0.001100 app="shop" release="r42" pool="shop/production/web" route="www.example.org/" instance="shop/web.r42.3" ` +
			`trace=01000000000000000000000000000002` + "\n",
	} {
		if got := line(f, ordinary()); got != want {
			t.Errorf("got  %swant %s", got, want)
		}
	}
}

func TestLinesOfTheLeastAndTheMost(t *testing.T) {
	t.Parallel()
	most := &Entry{
		Began: -1, Took: 90 * time.Minute, Held: time.Second, Client: netip.MustParseAddr("::ffff:192.0.2.1"), Method: []byte("POST"),
		Target: []byte("/a?b"), Protocol: HTTP2, TLS: true, Status: 503, RequestBytes: 1 << 40, Tries: 1000,
		Place: NewPlace(`a"b`, "", "canary", "", "\n"), Cause: "shed",
	}
	for _, c := range []struct {
		f    Format
		e    *Entry
		want string
	}{
		{JSON, &Entry{}, `{"ts":"1970-01-01T00:00:00.000000Z","scheme":"http","protocol":"HTTP/1.1","status":0,"request_bytes":0,"response_bytes":0,"duration":0.000000}`},
		{Combined, &Entry{}, `- - - [01/Jan/1970:00:00:00 +0000] "-" - 0 "-" "-" rt=0.000000 urt=-`},
		{JSON, most, `{"ts":"1969-12-31T23:59:59.999999Z","client":"192.0.2.1","method":"POST","scheme":"https","target":"/a","protocol":"HTTP/2.0","status":503,` +
			`"request_bytes":1099511627776,"response_bytes":0,"duration":5400.000000,"held":1.000000,"tries":255,"app":"a\"b","arm":"canary","route":"\u000a","cause":"shed"}`},
		{Combined, most, `192.0.2.1 - - [31/Dec/1969:23:59:59 +0000] "POST /a HTTP/2.0" 503 0 "-" "-" rt=5400.000000 urt=- app="a\"b" arm="canary" route="\x0a" cause="shed"`},
	} {
		if got := line(c.f, c.e, func(l *Log) { l.omitQuery = true }); got != c.want+"\n" {
			t.Errorf("got  %swant %s", got, c.want)
		}
	}
}

func TestLongStringsAreCutAndSaidToBe(t *testing.T) {
	t.Parallel()
	long := bytes.Repeat([]byte("x"), 10_000)
	e := &Entry{Method: long, Target: long, Host: long, Referer: long, UserAgent: long, ID: long, Instance: string(long), Cause: string(long)}
	var got map[string]any
	if err := json.Unmarshal([]byte(line(JSON, e)), &got); err != nil {
		t.Fatal(err)
	}
	for i, key := range [fields]string{"method", "target", "host", "referer", "user_agent", "request_id", "instance", "cause"} {
		if s, _ := got[key].(string); len(s) != bounds[i] {
			t.Errorf("%s of %d bytes", key, len(s))
		}
	}
	if got["truncated"] != true {
		t.Error("it is not said that strings were cut")
	}
	total := 0
	for _, b := range bounds {
		total += b
	}
	if total*2 >= leastRecords*bytesPerRecord {
		t.Errorf("the smallest ring has no room for two records of %d bytes", total)
	}
}

// hostile are bytes that could do harm in a line.
var hostile = []string{
	"", "plain", `"`, `\`, `\"`, "\n", "\r\n", "\x00", "\x1b[2J\x1b]0;x\x07", "\x7f", "\u0085", "\u2028\u2029", "\u202egpj.exe", "\ufeff",
	"\xff\xfe", "\xc3", "ä€😀", "\U000e0041", `","status":200,"x":"`, `" 200 0 "-" "-"` + "\n" + `10.0.0.1 - - [`, "\ud7ff", "\xed\xa0\x80", "a\u0301",
}

func FuzzLinesCannotBeForged(f *testing.F) {
	for i, a := range hostile {
		f.Add([]byte(a), []byte(hostile[(i+7)%len(hostile)]), []byte(hostile[(i+13)%len(hostile)]))
	}
	f.Fuzz(func(t *testing.T, target, agent, other []byte) {
		e := &Entry{Method: other, Target: target, Host: other, UserAgent: agent, Referer: other, ID: other, Instance: string(other), Cause: string(agent), Status: 404}
		checkJSON(t, line(JSON, e), e)
		checkCombined(t, line(Combined, e), e)
	})
}

func checkJSON(t *testing.T, got string, e *Entry) {
	t.Helper()
	oneLine(t, got)
	for _, r := range got[:len(got)-1] {
		if !unicode.IsPrint(r) {
			t.Fatalf("%q has %U", got, r)
		}
	}
	var o struct {
		Method, Target, Host, Cause string
		Status                      int
		Agent                       string `json:"user_agent"`
	}
	d := json.NewDecoder(strings.NewReader(got))
	if err := d.Decode(&o); err != nil || d.More() {
		t.Fatalf("%q: %v", got, err)
	}
	for _, c := range []struct {
		got   string
		sent  []byte
		bound int
	}{{o.Method, e.Method, fieldMethod}, {o.Target, e.Target, fieldTarget}, {o.Agent, e.UserAgent, fieldAgent}, {o.Host, e.Host, fieldHost}} {
		want := string([]rune(string(c.sent[:min(len(c.sent), bounds[c.bound])]))) // what is no UTF-8 is U+FFFD, byte by byte
		if c.got != want || o.Status != 404 {
			t.Fatalf("%q is told as %q", c.sent, c.got)
		}
	}
}

var combinedLine = regexp.MustCompile(`^- - - \[01/Jan/1970:00:00:00 \+0000\] "(-|(?:[^"\\]|\\.)*)" 404 0 "((?:[^"\\]|\\.)*)" "((?:[^"\\]|\\.)*)" rt=0\.000000 urt=-(?: instance="((?:[^"\\]|\\.)*)")?(?: cause="(?:[^"\\]|\\.)*")?\n$`)

func checkCombined(t *testing.T, got string, e *Entry) {
	t.Helper()
	oneLine(t, got)
	for _, c := range []byte(got[:len(got)-1]) {
		if c < ' ' || c > '~' {
			t.Fatalf("%q has byte %#x", got, c)
		}
	}
	m := combinedLine.FindStringSubmatch(got)
	if m == nil {
		t.Fatalf("%q is no line of the combined format", got)
	}
	for i, c := range []struct {
		sent  []byte
		bound int
	}{{e.Referer, fieldReferer}, {e.UserAgent, fieldAgent}} {
		sent := string(c.sent[:min(len(c.sent), bounds[c.bound])])
		back, err := strconv.Unquote(`"` + m[i+2] + `"`)
		if sent == "" {
			sent = "-"
		}
		if err != nil || back != sent {
			t.Fatalf("%q is told as %q, %v", sent, m[i+2], err)
		}
	}
}

func oneLine(t *testing.T, got string) {
	t.Helper()
	if strings.Count(got, "\n") != 1 || !strings.HasSuffix(got, "\n") || !utf8.ValidString(got) {
		t.Fatalf("not one line: %q", got)
	}
}

// TestTheStampIsOfItsSecond has records out of order, as rings of several loops are read one after the other.
func TestTheStampIsOfItsSecond(t *testing.T) {
	t.Parallel()
	f := newFormatter(JSON)
	for _, at := range []int64{5, 5_999_999_999, 6_000_000_000, 5_000_000_000, -1, 0} {
		got := string(f.append(nil, &record{began: at}, nil))
		want := time.Unix(0, at).UTC().Format("2006-01-02T15:04:05.000000Z")
		if !strings.HasPrefix(got, `{"ts":"`+want+`"`) {
			t.Errorf("%d is told as %s", at, got)
		}
	}
}

func TestTraceIsLeftOutWhereThereIsNone(t *testing.T) {
	t.Parallel()
	if got := line(JSON, &Entry{Span: trace.SpanID{1}}); strings.Contains(got, "_id") {
		t.Error(got)
	}
}
