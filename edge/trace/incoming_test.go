package trace

import (
	"fmt"
	"regexp"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// members are the entries n of a tracestate from first to last.
func members(first, last int) string {
	var all []string
	for i := first; i <= last; i++ {
		all = append(all, fmt.Sprintf("bar%02d=%02d", i, i))
	}
	return strings.Join(all, ",")
}

// TestTracestate has the cases of the W3C's test suite, at its strictest, and those of the specification's text.
func TestTracestate(t *testing.T) {
	t.Parallel()
	allValue := func() string {
		var b []byte
		for c := byte(' '); c <= '~'; c++ {
			if c != ',' && c != '=' {
				b = append(b, c)
			}
		}
		return string(b)
	}()
	const allKey = "abcdefghijklmnopqrstuvwxyz0123456789_-*/"
	for _, c := range []struct {
		what  string
		lines []string
		keep  bool
	}{
		{"none", nil, true},
		{"two entries", []string{"foo=1,bar=2"}, true},
		{"empty", []string{""}, true},
		{"empty behind", []string{"foo=1", ""}, true},
		{"empty before", []string{"", "foo=1"}, true},
		{"empty entries", []string{"foo=1,,bar=2,"}, true},
		{"several lines", []string{"foo=1,bar=2", "rojo=1,congo=2", "baz=3"}, true},
		{"one key twice, one value", []string{"foo=1,foo=1"}, false},
		{"one key twice, two values", []string{"foo=1,foo=2"}, false},
		{"one key twice over lines", []string{"foo=1", "foo=2"}, false},
		{"all characters", []string{allKey + "=" + allValue}, true},
		{"all characters and a system", []string{allKey + "@a-z0-9_-*/=" + allValue}, true},
		{"whitespace", []string{"foo=1 \t , \t bar=2, \t baz=3"}, true},
		{"more whitespace", []string{"foo=1\t \t,\t \tbar=2,\t \tbaz=3"}, true},
		{"whitespace around", []string{"\t foo=1 \t"}, true},
		{"a blank in front of a value", []string{"foo= 1"}, true},
		{"a tab in a value", []string{"foo=1\t2"}, false},
		{"a blank behind a key", []string{"foo =1"}, false},
		{"capitals", []string{"FOO=1"}, false},
		{"a dot", []string{"foo.bar=1"}, false},
		{"a digit first", []string{"0foo=1"}, false},
		{"a tenant with a digit first", []string{"0foo@bar=1"}, true},
		{"a system with a digit first", []string{"foo@0bar=1"}, false},
		{"no system", []string{"foo@=1,bar=2"}, false},
		{"no tenant", []string{"@foo=1,bar=2"}, false},
		{"two at signs", []string{"foo@@bar=1,bar=2"}, false},
		{"two systems", []string{"foo@bar@baz=1,bar=2"}, false},
		{"32 entries", []string{members(1, 10), members(11, 20), members(21, 30), members(31, 32)}, true},
		{"33 entries", []string{members(1, 10), members(11, 20), members(21, 30), members(31, 33)}, false},
		{"a key of 256", []string{"foo=1", strings.Repeat("z", 256) + "=1"}, true},
		{"a key of 257", []string{"foo=1", strings.Repeat("z", 257) + "=1"}, false},
		{"a tenant of 241, a system of 14", []string{strings.Repeat("t", 241) + "@" + strings.Repeat("v", 14) + "=1"}, true},
		{"a tenant of 242", []string{"foo=1", strings.Repeat("t", 242) + "@v=1"}, false},
		{"a system of 15", []string{"foo=1", "t@" + strings.Repeat("v", 15) + "=1"}, false},
		{"a value of 256", []string{"foo=" + strings.Repeat("v", 256)}, true},
		{"a value of 257", []string{"foo=" + strings.Repeat("v", 257)}, false},
		{"an equals sign in a value", []string{"foo=bar=baz"}, false},
		{"no value", []string{"foo=,bar=3"}, false},
		{"no key", []string{"=1"}, false},
		{"no equals sign", []string{"foo"}, false},
		{"a control character", []string{"foo=\x7f"}, false},
		{"a byte of UTF-8", []string{"foo=\xc3\xa4"}, false},
	} {
		var in Incoming
		in.Traceparent([]byte(good))
		for _, l := range c.lines {
			in.Tracestate([]byte(l))
		}
		want := Keep
		if !c.keep {
			want = KeepParent
		}
		got, verdict := in.Decide(Sampler{})
		if verdict != want || got.Trace.String() != traceHex {
			t.Errorf("%s: verdict %d of %+v", c.what, verdict, got)
		}
	}
}

func TestWithoutAValidParentATraceIsStarted(t *testing.T) {
	t.Parallel()
	for what, parents := range map[string][]string{
		"no traceparent":    nil,
		"an invalid one":    {good + "."},
		"two":               {good[:34] + "1" + good[35:], good},
		"two, one of them":  {good, "nonsense"},
		"two, first of all": {"nonsense", good},
		"two equal ones":    {good, good},
	} {
		for _, state := range []string{"", "foo=1", "foo"} {
			var in Incoming
			for _, p := range parents {
				in.Traceparent([]byte(p))
			}
			if state != "" {
				in.Tracestate([]byte(state))
			}
			c, verdict := in.Decide(Sampler{})
			if _, ok := Parse(c.Append(nil)); !ok || verdict != Start || c.Trace.String() == traceHex || c.Flags != Random {
				t.Errorf("%s, state %q: verdict %d of %s", what, state, verdict, c.Append(nil))
			}
			if c, _ := in.Decide(NewSampler(1)); c.Flags != Random|Sampled {
				t.Errorf("%s: a trace that is sampled has flags %02x", what, c.Flags)
			}
		}
	}
}

func TestResetForgets(t *testing.T) {
	t.Parallel()
	var in Incoming
	for range 2 {
		in.Traceparent([]byte(good))
		in.Traceparent([]byte(good))
		in.Tracestate([]byte(members(1, 32)))
		in.Tracestate([]byte("=")) // invalid
	}
	in.Reset()
	in.Traceparent([]byte(good))
	in.Tracestate([]byte(members(1, 32)))
	if c, v := in.Decide(Sampler{}); v != Keep || c.Trace.String() != traceHex {
		t.Errorf("verdict %d of %+v", v, c)
	}
}

// The grammar of the Recommendation as it is written there, section 3.3.1.
var entry = regexp.MustCompile(`^(?:([a-z][a-z0-9_*/-]{0,255})|([a-z0-9][a-z0-9_*/-]{0,240}@[a-z][a-z0-9_*/-]{0,13}))=` +
	`[ -+\--<>-~]{0,255}[!-+\--<>-~]$`)

func TestTracestateIsItsGrammar(t *testing.T) {
	t.Parallel()
	line := rapid.SliceOfN(rapid.SampledFrom([]string{"a", "b", "7", "@", "=", "=", ",", ",", " ", "\t", "_", "A", "~"}), 0, 12)
	rapid.Check(t, func(t *rapid.T) {
		lines := rapid.SliceOfN(line, 1, 3).Draw(t, "lines")
		want, keys := Keep, map[string]bool{}
		var in Incoming
		in.Traceparent([]byte(good))
		for _, l := range lines {
			in.Tracestate([]byte(strings.Join(l, "")))
			for _, m := range strings.Split(strings.Join(l, ""), ",") {
				m = strings.Trim(m, " \t")
				k, _, _ := strings.Cut(m, "=")
				if m != "" && (!entry.MatchString(m) || keys[k]) {
					want = KeepParent
				}
				keys[k] = true
			}
		}
		if _, got := in.Decide(Sampler{}); got != want {
			t.Fatalf("%q: verdict %d", lines, got)
		}
	})
}
