package config

import (
	"encoding/json"
	"strings"
	"testing"

	"semper"
)

// A spec that comes past the file is held to the same: one that no edge could serve by would stop every app's next table.
func TestCheckSpec(t *testing.T) {
	t.Parallel()
	words := func(match, answer, policy string) semper.RouteWords {
		raw := func(s string) json.RawMessage {
			if s == "" {
				return nil
			}
			return json.RawMessage(s)
		}
		return semper.RouteWords{Match: raw(match), Answer: raw(answer), Policy: raw(policy)}
	}
	route := func(path, to string, w semper.RouteWords) semper.RouteRule {
		return semper.RouteRule{Path: path, To: to, RouteWords: w}
	}
	web := semper.Service{Type: semper.Web}
	for name, tc := range map[string]struct {
		routes  []semper.RouteRule
		service semper.Service
		want    string // part of the error; empty: none
	}{
		"plain": {routes: []semper.RouteRule{route("/", "web", words("", "", ""))}, service: web},
		"everything": {
			routes: []semper.RouteRule{
				route("/", "web", words("", "", `{"rate_limit":{"requests":1}}`)), route("/", "web", words(`{"methods":["PUT"]}`, "", "")), route("/x", "", words("", `{"respond":204}`, "")),
			},
			service: semper.Service{Type: semper.Web, Protocol: semper.ProtocolH2C, Pool: json.RawMessage(`{"slow_start":"1s"}`)},
		},
		"no such service":  {routes: []semper.RouteRule{route("/", "api", words("", "", ""))}, service: web, want: `leads to pool "api"`},
		"a worker":         {routes: []semper.RouteRule{route("/", "web", words("", "", ""))}, service: semper.Service{Type: semper.Worker}, want: `leads to pool "web"`},
		"nowhere":          {routes: []semper.RouteRule{route("/", "", words(`{"methods":"GET"}`, "", ""))}, service: web, want: "leads nowhere"},
		"no path":          {routes: []semper.RouteRule{route("x", "web", words("", "", ""))}, service: web, want: "does not begin with /"},
		"twice":            {routes: []semper.RouteRule{route("/a", "web", words("", "", "")), route("/a", "web", words("", "", ""))}, service: web, want: "stands in it twice"},
		"files":            {routes: []semper.RouteRule{{Path: "/x", Files: true, RouteWords: words("", `{"files":"public"}`, "")}}, service: web},
		"files of nobody":  {routes: []semper.RouteRule{route("/x", "", words("", `{"files":"public"}`, ""))}, service: web, want: "in two ways"},
		"no files":         {routes: []semper.RouteRule{{Path: "/x", Files: true, RouteWords: words("", `{"respond":204}`, "")}}, service: web, want: "in two ways"},
		"files outside":    {routes: []semper.RouteRule{{Path: "/x", Files: true, RouteWords: words("", `{"files":"../b"}`, "")}}, service: web, want: "not in the artifact"},
		"files of root":    {routes: []semper.RouteRule{{Path: "/x", Files: true, RouteWords: words("", `{"files":"/etc"}`, "")}}, service: web, want: "not in the artifact"},
		"all files":        {routes: []semper.RouteRule{{Path: "/x", Files: true, RouteWords: words("", `{"files":"a/.."}`, "")}}, service: web, want: "all of the artifact"},
		"an unknown key":   {routes: []semper.RouteRule{route("/", "web", words("", "", `{"prefetch":true}`))}, service: web, want: `unknown key "prefetch"`},
		"a value":          {routes: []semper.RouteRule{route("/", "web", words("", "", `{"retry":99}`))}, service: web, want: "from 1 to 10"},
		"no object":        {routes: []semper.RouteRule{route("/", "web", words(`[1]`, "", ""))}, service: web, want: "keys with values"},
		"a pattern":        {routes: []semper.RouteRule{route("/", "web", words(`{"query":{"q":{"matches":"("}}}`, "", ""))}, service: web, want: "cannot be compiled"},
		"a field":          {routes: []semper.RouteRule{route("/", "web", words("", "", `{"headers":{"request":{"remove":"Content-Length"}}}`))}, service: web, want: "Content-Length"},
		"another protocol": {service: semper.Service{Type: semper.Web, Protocol: "h3"}, want: `no protocol "h3"`},
		"h2c after PROXY":  {service: semper.Service{Type: semper.Web, Protocol: semper.ProtocolH2C, Pool: json.RawMessage(`{"proxy_protocol":"v2"}`)}, want: "PROXY"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			err := CheckSpec(semper.Spec{App: "bar", Services: map[string]semper.Service{"web": tc.service}, Routes: tc.routes})
			switch {
			case tc.want == "" && err != nil:
				t.Error(err)
			case tc.want != "" && (semper.CodeOf(err) != semper.Invalid || !strings.Contains(err.Error(), tc.want)):
				t.Errorf("%v, want %q", err, tc.want)
			}
		})
	}
}

// An edge serves by what it knows of a table of a newer semper, and says what it does not know.
func TestATableOfANewerSemper(t *testing.T) {
	t.Parallel()
	var tab semper.Table
	err := json.Unmarshal([]byte(`{"epoch":3,"routes":[
		{"path":"/","pool":"w","policy":{"prefetch":1,"max_in_flight":5,"class":"urgent"},"weight":3},{"path":"/b","pool":"w"}],
		"rules":[{"path":"/c","pool":"","answer":{"teapot":true}}],"pools":[{"key":"w","app":"a","protocol":"h9","policy":{"warmth":1,"slow_start":"2s"}}],"zones":[]}`), &tab)
	if err != nil {
		t.Fatal(err)
	}
	m, odd, err := OfTable(tab, nil)
	if err != nil || odd == nil || !strings.Contains(odd.Error(), `"urgent"`) {
		t.Fatalf("%v; %v", odd, err)
	}
	rules := m.Rules()
	if len(rules) != 2 || rules[0].Policy.MaxInFlight != 5 || rules[1].Policy.Retry.Tries != Tries {
		t.Errorf("%d rules: %+v", len(rules), rules)
	}
	if p, err := OfPool(&tab.Pools[0]); err != nil || p.SlowStart.Seconds() != 2 {
		t.Errorf("%+v %v", p, err)
	}
}
