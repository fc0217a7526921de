package route

import (
	"errors"
	"strings"
	"testing"
	"time"
)

func TestCompileSaysAllThatIsWrong(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		change func(*Rule)
		want   string // "key: part of the reason"
	}{
		{"scheme in host", func(r *Rule) { r.Match.Hosts = []string{"https://a.example"} }, "host: only the name"},
		{"port in host", func(r *Rule) { r.Match.Hosts = []string{"a.example:80"} }, "host: without a port"},
		{"wildcard inside", func(r *Rule) { r.Match.Hosts = []string{"a.*.example"} }, "host: in front of a name"},
		{"wildcard alone", func(r *Rule) { r.Match.Hosts = []string{"*"} }, "host: in front of a name"},
		{"bad name", func(r *Rule) { r.Match.Hosts = []string{"-a.example"} }, "host: not a host"},
		{"dot at the end", func(r *Rule) { r.Match.Hosts = []string{"a.example."} }, "host: without a dot"},
		{"no slash", func(r *Rule) { r.Match.Path = "api" }, "path: begin it with /"},
		{"star", func(r *Rule) { r.Match.Path = "/api/*" }, "path: everything below"},
		{"dots", func(r *Rule) { r.Match.Path = "/a/../b" }, "path: leave it out"},
		{"bad encoding", func(r *Rule) { r.Match.Path = "/100%" }, "path: %25"},
		{"encoded NUL", func(r *Rule) { r.Match.Path = "/a%00" }, "path: no request has %00"},
		{"long segment", func(r *Rule) { r.Match.Path = "/" + strings.Repeat("a", 256) }, "path: at most 255"},
		{"scheme", func(r *Rule) { r.Match.Scheme = "ftp" }, "scheme: it is http or https"},
		{"method", func(r *Rule) { r.Match.Methods = []string{"get"} }, "methods: write GET"},
		{"pattern", func(r *Rule) { r.Match.Conditions = []Condition{{InCookie, "a", Matches, "("}} }, "cookie: cannot be compiled"},
		{"name", func(r *Rule) { r.Match.Conditions = []Condition{{InField, "a b", Present, ""}} }, "header: not the name"},
		{"no action", func(r *Rule) { r.Action = nil }, "to: does nothing"},
		{"no pool", func(r *Rule) { r.Action = &Forward{} }, "to: no pool"},
		{"no weight", func(r *Rule) { r.Action = &Forward{Pools: []Share{{"a", 0}, {"b", 0}}} }, "to: weight 0"},
		{"twice", func(r *Rule) { r.Action = &Forward{Pools: []Share{{"a", 1}, {"a", 2}}} }, "to: named twice"},
		{"redirect nowhere", func(r *Rule) { r.Action = &Redirect{To: "{path}"} }, "redirect.to: leads nowhere"},
		{"redirect to another scheme", func(r *Rule) { r.Action = &Redirect{To: "javascript:alert(1)"} }, "redirect.to: leads nowhere"},
		{"redirect without scheme", func(r *Rule) { r.Action = &Redirect{To: "//evil.example"} }, "redirect.to: without a scheme"},
		{"host behind a host", func(r *Rule) { r.Action = &Redirect{To: "https://a.example{host}"} }, "redirect.to: whole host"},
		{"host in a path", func(r *Rule) { r.Action = &Redirect{To: "https://a.example{rest}{host}"} }, "redirect.to: whole host"},
		{"text behind host", func(r *Rule) { r.Action = &Redirect{To: "https://{host}@evil/"} }, "redirect.to: not a host"},
		{"text behind nothing", func(r *Rule) { r.Action = &Redirect{To: "https://a.example{rest}{query}b"} }, "redirect.to: put a /"},
		{"unknown name", func(r *Rule) { r.Action = &Redirect{To: "/{uri}"} }, "redirect.to: {host}, {path}"},
		{"not closed", func(r *Rule) { r.Action = &Redirect{To: "/{path"} }, "redirect.to: not closed"},
		{"redirect status", func(r *Rule) { r.Action = &Redirect{To: "/", Status: 304} }, "redirect.status: 307"},
		{"status", func(r *Rule) { r.Action = &Respond{Status: 99} }, "respond.status: 200 to 599"},
		{"body of 204", func(r *Rule) { r.Action = &Respond{Status: 204, Body: []byte("x")} }, "respond.body: no body"},
		{"framing", func(r *Rule) { r.Policy.Headers.Response.Set = Fields{{"Content-Length", "0"}} }, "headers.response.set: the edge writes it"},
		{"host field", func(r *Rule) { r.Policy.Headers.Request.Add = Fields{{"Host", "a"}} }, "headers.request.add: rewrite.host"},
		{"splitting", func(r *Rule) { r.Policy.Headers.Response.Add = Fields{{"X-A", "a\r\nB: c"}} }, "headers.response.add: 0x0d"},
		{"remove framing", func(r *Rule) { r.Policy.Headers.Request.Remove = []string{"transfer-encoding"} }, "headers.request.remove: the edge writes it"},
		{"two rewrites", func(r *Rule) { r.Policy.Rewrite = Rewrite{Strip: true, Prefix: "/a"} }, "rewrite: keep one"},
		{"strip of exact", func(r *Rule) { r.Match.Exact = true; r.Match.Path = "/a"; r.Policy.Rewrite.Strip = true }, "rewrite: by prefix"},
		{"pattern alone", func(r *Rule) { r.Policy.Rewrite.Pattern = "a" }, "rewrite: add path"},
		{"group", func(r *Rule) { r.Policy.Rewrite = Rewrite{Pattern: "(a)", Path: "/$2"} }, "rewrite: 1 groups"},
		{"glued group", func(r *Rule) { r.Policy.Rewrite = Rewrite{Pattern: "(a)", Path: "/$1x"} }, "rewrite: $1x"},
		{"rewritten host", func(r *Rule) { r.Policy.Rewrite.Host = "a b" }, "rewrite: not a host"},
		{"retry", func(r *Rule) { r.Policy.Retry.On = []string{"404"} }, "retry.on: 500 to 599"},
		{"negative", func(r *Rule) { r.Policy.Timeouts.Body = -1 }, "timeouts.body: below 0"},
		{"queue", func(r *Rule) { r.Policy.Queue = Queue{Length: 1} }, "queue.deadline: give one"},
		{"rate", func(r *Rule) { r.Policy.RateLimit = []RateLimit{{Requests: 5}} }, "rate_limit[0]: above 0"},
		{"rate too fine", func(r *Rule) { r.Policy.RateLimit = []RateLimit{{Requests: 5e6, Period: time.Second}} }, "rate_limit[0]: cannot be measured"},
		{"cookie", func(r *Rule) { r.Policy.Sticky.Cookie = "a=b" }, "sticky.cookie: not the name"},
		{"time of an instance", func(r *Rule) { r.Policy.Sticky.For = time.Minute }, "sticky.for: about releases"},
		{"host cookie", func(r *Rule) { r.Policy.Sticky.Cookie = "__Host-a" }, "sticky.cookie: scheme: https"},
		{"algorithm", func(r *Rule) { r.Policy.Balance.Algorithm = "random" }, "balance.algorithm: least"},
		{"compress", func(r *Rule) { r.Policy.Compress.Algorithms = []string{"br"} }, "compress.algorithms: gzip or zstd"},
		{"hedge's delay", func(r *Rule) { r.Policy.Hedge.After = -1 }, "hedge.after: below 0"},
		{"hedges", func(r *Rule) { r.Policy.Hedge.Share = 2 }, "hedge.share: from 0 to 1"},
		{"hedge", func(r *Rule) { r.Policy.Hedge.Quantile = 1 }, "hedge.quantile: 0.999"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			bad := to("bad", Match{})
			c.change(&bad)
			_, err := Compile([]Rule{to("good", Match{Path: "/good"}), bad})
			all, _ := errors.AsType[Errors](err)
			if len(all) != 1 {
				t.Fatalf("%d errors: %v", len(all), err)
			}
			key, reason, _ := strings.Cut(c.want, ": ")
			if e := all[0]; e.Rule != 1 || e.Other != -1 || e.Name != "bad" || e.Key != key || !strings.Contains(e.Reason, reason) {
				t.Errorf("%+v, want %s", *e, c.want)
			}
			if strings.Contains(err.Error(), "\n") {
				t.Errorf("more than a line: %v", err)
			}
		})
	}
}

func TestRulesThatCouldNeverWin(t *testing.T) {
	t.Parallel()
	a, b := Condition{InField, "X-A", Present, ""}, Condition{InCookie, "b", Equal, "1"}
	_, err := Compile([]Rule{
		to("first", Match{Hosts: []string{"a.example", "b.example"}, Path: "/x", Conditions: []Condition{a, b}}),
		to("other", Match{Hosts: []string{"a.example"}, Path: "/x", Conditions: []Condition{a}}),
		to("again", Match{Hosts: []string{"B.example"}, Path: "/x/", Conditions: []Condition{b, {InField, "x-a", Present, ""}}}),
	})
	all, _ := errors.AsType[Errors](err)
	if len(all) != 1 || all[0].Rule != 2 || all[0].Other != 0 || !strings.Contains(all[0].Reason, "rule 1 ") {
		t.Errorf("%v", err)
	}
}

func TestSeveralThingsWrongAreSaidAtOnce(t *testing.T) {
	t.Parallel()
	bad := to("bad", Match{Path: "x", Scheme: "y"})
	bad.Policy.Class = "z"
	_, err := Compile([]Rule{bad, bad})
	if all, _ := errors.AsType[Errors](err); len(all) != 6 || strings.Count(err.Error(), "\n") != 5 {
		t.Errorf("%d errors: %v", len(all), err)
	}
}

func TestTheDefaultPolicyIsValidAndBounded(t *testing.T) {
	t.Parallel()
	m := compile(t, to("a", Match{}))
	p := m.Rules()[0].Policy
	for name, bound := range map[string]int64{
		"connect": int64(p.Timeouts.Connect), "response": int64(p.Timeouts.Response), "body": int64(p.Timeouts.Body), "rate": int64(p.Timeouts.MinRate),
		"write": int64(p.Timeouts.Write), "stream": int64(p.Timeouts.Stream), "size": int64(p.Limits.Body), "head": int64(p.Limits.Head),
	} {
		if bound <= 0 {
			t.Errorf("%s has no bound", name)
		}
	}
	if len(p.Compress.Algorithms) > 0 || p.Hedge.Quantile != 0 || p.Sticky.Cookie != "" || p.MaxInFlight != 0 || p.RateLimit != nil {
		t.Error("the default changes more than it says")
	}
	var none Rule
	none.Action = &Respond{}
	if p := compile(t, none).Rules()[0]; p.Policy.Class != Normal || p.Policy.Balance.Algorithm != Least || p.Action.(*Respond).Status != 200 {
		t.Errorf("the zero policy became %+v", p.Policy)
	}
}

func TestCompileLeavesItsArgumentAlone(t *testing.T) {
	t.Parallel()
	r := Rule{Action: &Redirect{To: "/x"}}
	m := compile(t, r)
	if r.Action.(*Redirect).Status != 0 || m.Rules()[0].Action.(*Redirect).Status != 308 {
		t.Error("the redirect was completed in place")
	}
}

func TestErrorPages(t *testing.T) {
	t.Parallel()
	p := Policy{ErrorPages: []ErrorPage{{From: 500, To: 599, Type: "a"}, {From: 503, To: 503, Type: "b"}, {From: 400, To: 599, Type: "c"}}}
	for status, want := range map[int]string{503: "b", 502: "a", 404: "c"} {
		if got := p.Page(status); got == nil || got.Type != want {
			t.Errorf("%d: %v", status, got)
		}
	}
	if p.Page(200) != nil {
		t.Error("a page for 200")
	}
}
