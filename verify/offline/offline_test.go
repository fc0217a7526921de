package offline

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"semper/verify"
	"semper/verify/diff"
)

// minutes has a row for each arm and minute: what bad is comes from bad.
func minutes(n int, bad func(candidate bool) int) string {
	var b strings.Builder
	b.WriteString("time,metric,kind,arm,requests,bad\n")
	for i := range n {
		at := time.Date(2026, 11, 21, 10, i, 0, 0, time.UTC).Format(time.RFC3339)
		fmt.Fprintf(&b, "%s,errors,errors,candidate,1000,%d\n%s,errors,errors,baseline,1000,%d\n", at, bad(true), at, bad(false))
	}
	return b.String()
}

func verdicts(t *testing.T, in string, s Settings) (all []verify.Verdict) {
	t.Helper()
	if err := Judge(strings.NewReader(in), s, func(v verify.Verdict) error { all = append(all, v); return nil }); err != nil {
		t.Fatal(err)
	}
	return all
}

func TestJudge(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(5, 5))
	alike := verdicts(t, minutes(30, func(bool) int { return r.IntN(4) }), Settings{Need: verify.Need{Time: 20 * time.Minute}})
	if len(alike) != 30 || alike[10].Cause != verify.TooEarly || alike[29].Outcome != verify.BetterOrEqual {
		t.Errorf("%+v", alike[len(alike)-1])
	}
	worse := verdicts(t, minutes(30, func(candidate bool) int {
		if candidate {
			return 10
		}
		return 1
	}), Settings{})
	if worse[29].Outcome != verify.Worse || worse[0].Outcome == verify.Worse {
		t.Errorf("%+v", worse[29])
	}
	mismatch := verdicts(t, minutes(30, func(bool) int { return 0 }), Settings{Split: .3})
	if mismatch[29].Cause != verify.Mismatch {
		t.Errorf("%+v", mismatch[29])
	}
}

func TestKinds(t *testing.T) {
	t.Parallel()
	var b strings.Builder
	r := rand.New(rand.NewPCG(6, 6))
	for i := range 100 {
		at := 1_763_719_200 + 10*i
		for arm, factor := range map[string]float64{"candidate": 1, "baseline": .5} {
			fmt.Fprintf(&b, `{"time":%d,"metric":"memory","kind":"gauge","arm":%q,"value":%g}`+"\n", at, arm, 100*factor+r.Float64())
			fmt.Fprintf(&b, `{"time":%d,"metric":"latency","kind":"latency","arm":%q,"threshold":"p99","requests":100,"bad":%d}`+"\n", at, arm, 1)
			for range 5 {
				fmt.Fprintf(&b, `{"time":%d,"metric":"revenue","kind":"mean","arm":%q,"value":%g}`+"\n", at, arm, r.ExpFloat64())
			}
		}
	}
	all := verdicts(t, b.String(), Settings{Less: []string{"revenue"}, Weights: map[string]float64{"memory": 2}})
	last := all[len(all)-1]
	if last.Outcome != verify.Worse || !strings.Contains(last.Why, "memory") || len(last.Findings) != 3 {
		t.Errorf("%+v", last)
	}
}

func TestBadRows(t *testing.T) {
	t.Parallel()
	const head = "time,metric,kind,arm,requests,bad\n"
	const good = "10,e,errors,candidate,5,1\n10,e,errors,baseline,5,1\n"
	for in, want := range map[string]string{
		"":                                   "there are no rows",
		"time,metrik\n":                      `did you mean "metric"?`,
		"time,time\n":                        "twice",
		head:                                 "there are no rows",
		head + "x,e,errors,candidate,5,1":    "line 2: time \"x\" is no time",
		head + "10,e,error,candidate,5,1":    `line 2: kind "error": did you mean "errors"?`,
		head + "10,e,errors,canary,5,1":      `line 2: arm "canary"`,
		head + "10,e,errors,candidate,-5,1":  `line 2: requests "-5" is no count`,
		head + "10,e,errors,candidate,NaN,1": `line 2: requests "NaN" is no count`,
		head + "10,e,errors,candidate,5":     "line 2 has 5 columns, and not the 6 of the head: time,metric,kind,arm,requests,bad; one without a value is empty",
		head + good + "10,e,errors,candidate,5,1,7":                           "line 4 has 7 columns, and not the 6 of the head",
		head + "10,e\"x,errors,candidate,5,1":                                 "line 2, column 5: a quote is out of place",
		"time,\"metric\n":                                                     "line 1, column 14: a quote is out of place",
		head + "10,e,errors,candidate,,":                                      "line 2: there is no requests: a row of errors has time, metric, kind, arm, requests, bad",
		"metric,kind,arm\ng,gauge,baseline":                                   "line 2: there is no time: a row of gauge has time, metric, kind, arm, value",
		head + "10,e,errors,candidate,5,1":                                    "0 rows of e for the baseline",
		head + "10,e,errors,candidate,5,6\n10,e,errors,baseline,5,1\n":        "6 bad of 5 requests",
		head + good + "9,e,errors,candidate,5,1\n":                            "line 4: time 1970-01-01T00:00:09Z is before",
		head + good + "11,e,users,candidate,5,1\n":                            "line 4: e is of kind users here",
		head + good + "10,e,errors,candidate,5,1\n":                           "2 rows of e for the candidate",
		`{"time":10,"metric":"g","kind":"gauge","arm":"baseline","value":[]}`: "line 1: value is neither",
		`{"time":10,"metric":"g","kind":"gauge","arm":"baseline","valu":1}`:   `did you mean "value"?`,
		`{"time":`: "line 1: unexpected EOF",
	} {
		err := Judge(strings.NewReader(in), Settings{}, func(verify.Verdict) error { return nil })
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, and not %q", in, err, want)
		}
	}
	err := Judge(strings.NewReader(head+good), Settings{Margins: map[string]float64{"errors": 2}}, func(verify.Verdict) error { return nil })
	if err == nil || !strings.Contains(err.Error(), "no row has a metric") {
		t.Error(err)
	}
}

func TestCompare(t *testing.T) {
	t.Parallel()
	c, err := diff.New(diff.Options{})
	if err != nil {
		t.Fatal(err)
	}
	set := func(lines ...string) Named { return Named{"set", strings.NewReader(strings.Join(lines, "\n"))} }
	const a = `{"id":"1","endpoint":"GET /a","status":200,"header":{"content-type":["application/json"]},"body":"{\"x\":1}"}`
	const b = `{"id":"1","endpoint":"GET /a","status":200,"header":{"content-type":["application/json"]},"body_base64":"eyJ4IjoyfQ=="}`
	var pairs []Pair
	board, err := Compare(c, time.Now(), set(a, a), set(a, b), func(p Pair) error { pairs = append(pairs, p); return nil })
	if err != nil || len(pairs) != 2 || len(pairs[0].Found.Differences) != 0 || pairs[1].Found.Differences[0].String() != "body.x changed: 1 → 2" || board.Pairs != 2 {
		t.Error(pairs, err)
	}
	const inline = `{"status":200,"body":{"x":%s}}`
	board, err = Compare(c, time.Now(), set(fmt.Sprintf(inline, "1"), `{"status":200,"body":null}`), set(fmt.Sprintf(inline, "[]"), `{"status":200}`), func(Pair) error { return nil })
	if err != nil || board.Pairs != 2 || len(board.Places) != 1 || board.Places[0].Examples[0].String() != "body.x retyped: 1 → []" {
		t.Errorf("bodies as the JSON that they are: %+v, %v", board, err)
	}
	none := func(Pair) error { return nil }
	stop := errors.New("stop")
	for want, err := range map[string]error{
		"not as many": last(Compare(c, time.Now(), set(a), set(a, b), none)), "sort both": last(Compare(c, time.Now(), set(a), set(strings.Replace(a, `"1"`, `"2"`, 1)), none)),
		"set:1: ": last(Compare(c, time.Now(), set(a), set("{"), none)), "status 0": last(Compare(c, time.Now(), set("{}"), set(a), none)),
		`set:1: unknown key "sttus": did you mean "status"?`: last(Compare(c, time.Now(), set(`{"sttus":1}`), set(a), none)), "stop": last(Compare(c, time.Now(), set(a), set(a), func(Pair) error { return stop })),
	} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, and not %q", err, want)
		}
	}
}

func last(_ *diff.Board, err error) error { return err }

func FuzzRead(f *testing.F) {
	f.Add("time,metric,kind,arm,requests,bad\n10,e,errors,candidate,5,1\n10,e,errors,baseline,5,1\n")
	f.Add(`{"time":10,"metric":"g","kind":"gauge","arm":"baseline","value":1}`)
	f.Fuzz(func(_ *testing.T, in string) {
		Judge(strings.NewReader(in), Settings{}, func(verify.Verdict) error { return nil }) //nolint:errcheck // it must not panic
	})
}
