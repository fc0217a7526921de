package trace

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

const (
	traceHex = "12345678901234567890123456789012"
	spanHex  = "1234567890123456"
	good     = "00-" + traceHex + "-" + spanHex + "-01"
)

// TestTraceparent has the cases of the W3C's test suite for one traceparent, and those of the specification's text.
func TestTraceparent(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		what, value string
		valid       bool
	}{
		{"version 00", good, true},
		{"version 00, not sampled", good[:Size-2] + "00", true},
		{"version 00, flags of the future", good[:Size-2] + "ff", true},
		{"the specification's example", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", true},
		{"nothing", "", false},
		{"version 00 and a dot", good + ".", false},
		{"version 00 and more", good + "-what-the-future-will-be-like", false},
		{"version cc", "cc" + good[2:], true},
		{"version cc and more", "cc" + good[2:] + "-what-the-future-will-be-like", true},
		{"version cc and a dash", "cc" + good[2:] + "-", true},
		{"version cc and more without a dash", "cc" + good[2:] + ".what-the-future-will-be-like", false},
		{"version cc, cut", "cc" + good[2:Size-1], false},
		{"version 01", "01" + good[2:], true},
		{"version fe", "fe" + good[2:], true},
		{"version ff", "ff" + good[2:], false},
		{"version FF", "FF" + good[2:], false},
		{"version CC", "CC" + good[2:], false},
		{"version .0", ".0" + good[2:], false},
		{"version 0.", "0." + good[2:], false},
		{"version 000", "0" + good, false},
		{"version 0000", "00" + good, false},
		{"version 0", good[1:], false},
		{"trace id of zeros", "00-" + strings.Repeat("0", 32) + "-" + spanHex + "-01", false},
		{"trace id, first digit", "00-." + traceHex[1:] + "-" + spanHex + "-01", false},
		{"trace id, last digit", "00-" + traceHex[1:] + ".-" + spanHex + "-01", false},
		{"trace id in capitals", "00-" + strings.Repeat("AB", 16) + "-" + spanHex + "-01", false},
		{"trace id too long", "00-" + traceHex + "3-" + spanHex + "-01", false},
		{"trace id too short", "00-" + traceHex[1:] + "-" + spanHex + "-01", false},
		{"parent id of zeros", "00-" + traceHex + "-0000000000000000-01", false},
		{"parent id, first digit", "00-" + traceHex + "-." + spanHex[1:] + "-01", false},
		{"parent id, last digit", "00-" + traceHex + "-" + spanHex[1:] + ".-01", false},
		{"parent id in capitals", "00-" + traceHex + "-ABCDEFABCDEFABCD-01", false},
		{"parent id too long", "00-" + traceHex + "-" + spanHex + "7-01", false},
		{"parent id too short", "00-" + traceHex + "-" + spanHex[1:] + "-01", false},
		{"flags, first digit", good[:Size-2] + ".0", false},
		{"flags, last digit", good[:Size-2] + "0.", false},
		{"flags too long", good[:Size-2] + "001", false},
		{"flags too short", good[:Size-2] + "1", false},
		{"no dashes", strings.ReplaceAll(good, "-", "_"), false},
		{"a blank before", " " + good, true},
		{"a tab before", "\t" + good, true},
		{"a blank behind", good + " ", true},
		{"a tab behind", good + "\t", true},
		{"blanks and tabs", "\t " + good + " \t", true},
		{"a blank within", "00 -" + good[3:], false},
		{"two in one line", good + "," + good, false},
	} {
		got, ok := Parse([]byte(c.value))
		if ok != c.valid {
			t.Errorf("%s: %q is valid: %v", c.what, c.value, ok)
		}
		if !ok && got != (Context{}) {
			t.Errorf("%s: invalid, and read as %+v", c.what, got)
		}
		if ok && !strings.Contains(c.value, got.Trace.String()+"-"+got.Parent.String()+fmt.Sprintf("-%02x", byte(got.Flags))) {
			t.Errorf("%s: %q is read as %+v", c.what, c.value, got)
		}
	}
}

func TestWhatIsWrittenIsReadAsTheSame(t *testing.T) {
	t.Parallel()
	for range 1000 {
		c := New()
		got, ok := Parse(c.Append(nil))
		if !ok || got != c || c.Flags != Random {
			t.Fatalf("%s is read as %+v, %v", c.Append(nil), got, ok)
		}
	}
	c, _ := Parse([]byte(good[:Size-2] + "ff"))
	if b := c.Append(nil); string(b) != good[:Size-2]+"03" {
		t.Errorf("unknown flags are passed on: %s", b)
	}
}

func TestEveryByteAtEveryPlace(t *testing.T) {
	t.Parallel()
	for i := range Size {
		for c := range 256 {
			v := []byte(good)
			v[i] = byte(c)
			if _, ok := Parse(v); ok != naive(string(v)) {
				t.Errorf("%q is valid: %v", v, ok)
			}
		}
	}
}

func TestNewIsNew(t *testing.T) {
	t.Parallel()
	seen := map[ID]bool{}
	for range 1000 {
		c := New()
		if seen[c.Trace] {
			t.Fatalf("%s twice", c.Trace)
		}
		seen[c.Trace] = true
	}
}

// naive is the definition of valid, over strings.
func naive(s string) bool {
	s = strings.Trim(s, " \t")
	parts := strings.SplitN(s, "-", 5)
	if len(parts) < 4 || len(parts) == 5 && parts[0] == "00" || parts[0] == "ff" {
		return false
	}
	for i, n := range []int{2, 32, 16, 2} {
		if len(parts[i]) != n || strings.Trim(parts[i], "0123456789abcdef") != "" {
			return false
		}
	}
	return strings.Trim(parts[1], "0") != "" && strings.Trim(parts[2], "0") != ""
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(good))
	f.Add([]byte("cc" + good[2:] + "-more"))
	f.Add([]byte(" 00-00000000000000000000000000000000-1234567890123456-01"))
	f.Fuzz(func(t *testing.T, v []byte) {
		c, ok := Parse(v)
		if ok != naive(string(v)) {
			t.Fatalf("%q: %v", v, ok)
		}
		if ok {
			if again, ok := Parse(c.Append(nil)); !ok || again.Trace != c.Trace || again.Parent != c.Parent {
				t.Fatalf("%q is written as %q", v, c.Append(nil))
			}
		}
	})
}

func TestSamplerPicksItsShareAndAgrees(t *testing.T) {
	t.Parallel()
	const n = 20_000
	for _, share := range []float64{0, .1, .5, 1} {
		s, wider := NewSampler(share), NewSampler(share+.1)
		kept := 0
		for range n {
			c := New()
			if s.Keep(c) {
				kept++
				if !wider.Keep(c) {
					t.Fatalf("%s is kept at %g and not at more", c.Trace, share)
				}
			}
		}
		// Six standard deviations of a fair count: by chance once in half a billion.
		if off := float64(kept)/n - share; off*off > 36*share*(1-share)/n {
			t.Errorf("share %g: %d of %d", share, kept, n)
		}
	}
	c := New()
	c.Flags |= Sampled
	if !NewSampler(0).Keep(c) {
		t.Error("a sampled trace is not kept")
	}
	if NewSampler(-1) != NewSampler(0) || NewSampler(7) != NewSampler(1) {
		t.Error("shares out of range")
	}
}

func TestServerTiming(t *testing.T) {
	t.Parallel()
	c, _ := Parse([]byte(good))
	for _, x := range []struct {
		timing Timing
		c      Context
		want   string
	}{
		{Timing{Total: 41 * time.Microsecond}, Context{}, "edge;dur=0.041"},
		{Timing{Total: 15 * time.Millisecond, Held: 2 * time.Millisecond, Upstream: 12500 * time.Microsecond}, c,
			`edge;dur=0.5, hold;dur=2, app;dur=12.5, traceparent;desc="` + good + `"`},
		{Timing{Total: 1, Upstream: time.Second}, Context{}, "edge;dur=0, app;dur=1000"},
	} {
		if got := string(AppendServerTiming(nil, x.timing, x.c)); got != x.want {
			t.Errorf("%+v: %s", x.timing, got)
		}
	}
}

func TestNoAllocations(t *testing.T) {
	if raceDetector {
		t.Skip("the race detector allocates")
	}
	var in Incoming
	parent, state, b := []byte(good), []byte("vendor=1, tenant@system=two"), make([]byte, 0, 256)
	n := testing.AllocsPerRun(100, func() {
		in.Reset()
		in.Traceparent(parent)
		in.Tracestate(state)
		c, _ := in.Decide(NewSampler(.1))
		b = AppendServerTiming(c.Append(b[:0]), Timing{Total: time.Millisecond}, New())
	})
	if n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkIncoming(b *testing.B) {
	parent, state := []byte(good), []byte("vendor=00f067aa0ba902b7,tenant@system=t61rcWkgMzE")
	b.Run("none", func(b *testing.B) { benchmarkDecide(b, nil, nil) })
	b.Run("parent", func(b *testing.B) { benchmarkDecide(b, parent, nil) })
	b.Run("both", func(b *testing.B) { benchmarkDecide(b, parent, state) })
}

func benchmarkDecide(b *testing.B, parent, state []byte) {
	var in Incoming
	s := NewSampler(.01)
	b.ReportAllocs()
	for b.Loop() {
		in.Reset()
		if parent != nil {
			in.Traceparent(parent)
		}
		if state != nil {
			in.Tracestate(state)
		}
		in.Decide(s)
	}
}

func BenchmarkAppend(b *testing.B) {
	c, _ := Parse([]byte(good))
	buf := make([]byte, 0, 64)
	b.ReportAllocs()
	for b.Loop() {
		buf = c.Append(buf[:0])
	}
}

func TestInputIsOnlyRead(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		v := rapid.SliceOf(rapid.SampledFrom([]byte("a1@=,_ \t-A."))).Draw(t, "value")
		before := bytes.Clone(v)
		var in Incoming
		in.Traceparent(v)
		in.Tracestate(v)
		if !bytes.Equal(v, before) {
			t.Fatalf("%q became %q", before, v)
		}
	})
}

func BenchmarkParse(b *testing.B) {
	v := []byte(good)
	b.ReportAllocs()
	for b.Loop() {
		Parse(v)
	}
}

func BenchmarkNew(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		New()
	}
}
