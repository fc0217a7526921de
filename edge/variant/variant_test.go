package variant_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"semper/edge/arms"
	"semper/edge/message"
	"semper/edge/route"
	"semper/edge/variant"
	"semper/experiment/design"
)

var keys = [2][]byte{[]byte(strings.Repeat("k", 32))}

func variation(name, by string, key byte, shares ...float64) design.Variation {
	v := design.Variation{Experiment: name, Run: name + "-1", By: by, Key: bytes.Repeat([]byte{key}, 32)}
	for i, s := range shares {
		v.Variants = append(v.Variants, design.Variant{Name: fmt.Sprint("v", i), Share: s})
	}
	return v
}

func query(user string) *route.Query {
	return &route.Query{Fields: message.Fields(http.Header{"X-User": {user}}), Client: netip.MustParseAddr("10.0.0.1")}
}

// TestExperimentsAreIndependent: shares are kept, and where a user is in one experiment says nothing of where in another.
func TestExperimentsAreIndependent(t *testing.T) {
	t.Parallel()
	a, b := variation("a", "header:X-User", 1, .5, .3), variation("b", "header:X-User", 2, .25, .75)
	const n = 20_000
	var counts [3][2]float64
	for u := range n {
		hash := variant.Hash(fmt.Append(nil, "user-", u))
		_, i := a.Place(hash)
		_, j := b.Place(hash)
		if i == design.NoVariant {
			i = 2
		}
		counts[i][j]++
	}
	for i, share := range []float64{.5, .3, .2} {
		for j, other := range []float64{.25, .75} {
			p := share * other
			if want, sd := n*p, math.Sqrt(n*p*(1-p)); math.Abs(counts[i][j]-want) > 4*sd {
				t.Errorf("%d and %d: %g, want %g ± %g", i, j, counts[i][j], want, sd)
			}
		}
	}
}

func TestThirdsLeaveNobodyOut(t *testing.T) {
	t.Parallel()
	v := variation("a", "client", 1, .1, .2, .3, .4)
	for u := range 10_000 {
		if _, i := v.Place(uint64(u)); i == design.NoVariant {
			t.Fatalf("%d takes no part", u)
		}
	}
}

// TestFields: a member for each experiment that the request is part of, and no field without one.
func TestFields(t *testing.T) {
	t.Parallel()
	s, err := variant.Compile(written(t,
		variation("a", "header:X-User", 1, 1), variation("b", "cookie:none", 2, 1), variation("c", "header:X-User", 3, 0, 1), variation("d", "nonsense", 4, 1),
	), keys)
	if err == nil || !strings.Contains(err.Error(), "experiment d") {
		t.Errorf("of a key that is none: %v", err)
	}
	var r variant.Request
	var arm arms.Request
	r.Pick(s, query("ann"), &arm)
	h := http.Header{}
	r.Set(h)
	if got := h.Get("Semper-Variant"); got != "a=v0, c=v1" {
		t.Errorf("%q", got)
	}
	if got, want := string(r.AppendLines(nil)), "Semper-Variant: a=v0, c=v1\r\nSemper-Variant-Key: "+h.Get("Semper-Variant-Key")+"\r\n"; got != want {
		t.Errorf("%q, not %q", got, want)
	}
	none, err := variant.Compile(written(t, variation("b", "cookie:none", 2, 1)), keys)
	if err != nil {
		t.Fatal(err)
	}
	r.Pick(none, query("ann"), &arm)
	if got := r.AppendLines(nil); len(got) != 0 {
		t.Errorf("%q", got)
	}
	r.Pick(nil, query("ann"), &arm)
	if got := r.AppendLines(nil); len(got) != 0 {
		t.Errorf("%q", got)
	}
}

func TestAtMostEightAtOnce(t *testing.T) {
	t.Parallel()
	all := make([]design.Variation, variant.Most+1)
	for i := range all {
		all[i] = variation(fmt.Sprint("x", i), "client", byte(i), 1)
	}
	s, err := variant.Compile(written(t, all...), keys)
	if err == nil || !strings.Contains(err.Error(), "x8") {
		t.Error(err)
	}
	var r variant.Request
	r.Pick(s, query(""), &arms.Request{})
	if n := strings.Count(string(r.AppendLines(nil)), "v0"); n != variant.Most {
		t.Error(n)
	}
}

// expose tells the log of n users.
func expose(s *variant.Set, l *variant.Log, from, n int) {
	for u := from; u < from+n; u++ {
		var r variant.Request
		r.Pick(s, query(fmt.Sprint("user-", u)), &arms.Request{})
		r.Expose(l)
	}
}

// TestTheLog: once a minute for each user, fetched in parts and from where one was, with the number of those that nobody fetched.
func TestTheLog(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, err := variant.Compile(written(t, variation("a", "header:X-User", 1, .5, .5)), keys)
		if err != nil {
			t.Fatal(err)
		}
		var l variant.Log
		if got := l.After("e", 0); len(got.List) != 0 || got.More || got.Edge != "e" {
			t.Errorf("of nothing: %+v", got)
		}
		expose(s, &l, 0, 10)
		expose(s, &l, 0, 10)
		first := l.After("e", 0)
		if len(first.List) != 10 {
			t.Fatalf("%d, not 10", len(first.List))
		}
		for i, e := range first.List {
			if i > 0 && e.Seq <= first.List[i-1].Seq || e.Run != "a-1" {
				t.Errorf("%+v after %+v", e, first.List[max(i-1, 0)])
			}
		}
		if got := l.After("e", first.List[3].Seq); len(got.List) != 6 {
			t.Errorf("%d after the fourth", len(got.List))
		}
		<-time.After(time.Minute)
		expose(s, &l, 0, 10)
		if got := l.After("e", first.List[9].Seq); len(got.List) != 10 {
			t.Errorf("%d a minute later", len(got.List))
		}
		expose(s, &l, 100, 80_000) // more than are kept
		total, seq := 0, int64(0)
		for more := true; more; {
			part := l.After("e", seq)
			total, more = total+len(part.List), part.More
			seq = part.List[len(part.List)-1].Seq
			if part.Dropped < 10_000 || part.Dropped > 15_000 {
				t.Fatalf("%d were dropped", part.Dropped)
			}
		}
		if total != 1<<16 {
			t.Errorf("%d were kept", total)
		}
	})
}

func BenchmarkRequest(b *testing.B) {
	s, err := variant.Compile(written(b, variation("a", "client", 1, .5, .5)), keys)
	if err != nil {
		b.Fatal(err)
	}
	var l variant.Log
	q, buf := query("ann"), []byte(nil)
	b.ReportAllocs()
	for b.Loop() {
		var r variant.Request
		r.Pick(s, q, &arms.Request{})
		buf = r.AppendLines(buf[:0])
		r.Expose(&l)
	}
}

// written is variations as tables hold them.
func written(t testing.TB, all ...design.Variation) json.RawMessage {
	t.Helper()
	b, err := json.Marshal(all)
	if err != nil {
		t.Fatal(err)
	}
	return b
}
