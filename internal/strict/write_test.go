package strict

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func (x texts) All(yield func(name, value string) bool) {
	for _, one := range x {
		var name, value string
		for i := range one {
			if one[i] == '=' {
				name, value = one[:i], one[i+1:]
				break
			}
		}
		if !yield(name, value) {
			return
		}
	}
}

// What was written reads as it was, whatever it was, and is JSON.
func TestWhatIsWrittenReadsTheSame(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.String()
		one := func(name string) inner {
			return inner{
				Name: text.Draw(t, name), Count: rapid.IntRange(1, 9).Draw(t, name+" count"),
				Wait: time.Duration(rapid.Int64Range(0, 1e6).Draw(t, name+" wait")) * time.Millisecond,
			}
		}
		v := outer{
			Base: one("base"), Size: bytes64(rapid.Int64Range(1, 1<<50).Draw(t, "size")), Ratio: rapid.Float64Range(0, 1).Draw(t, "ratio"), Code: 3,
			Upper: upper(rapid.SampledFrom([]string{"A", "B: C", `"`}).Draw(t, "upper")),
			Words: rapid.SliceOfN(rapid.StringMatching(`[a-z{}, :#'"-]{1,5}`), 0, 3).Draw(t, "words"),
			Truth: rapid.Bool().Draw(t, "truth"), Path: "/" + text.Draw(t, "path"), shared: shared{Mode: "slow"},
		}
		for i := range rapid.IntRange(0, 3).Draw(t, "texts") {
			v.Texts = append(v.Texts, fmt.Sprintf("n%d=%s", i/2, text.Draw(t, "a text")))
		}
		for i := range rapid.IntRange(0, 2).Draw(t, "list") {
			v.List = append(v.List, one(fmt.Sprint("item ", i)))
			if v.Table == nil {
				v.Table = map[string]inner{}
			}
			v.Table[fmt.Sprintf("t.%d[", i)] = one("in the table")
		}
		if rapid.Bool().Draw(t, "maybe") {
			m := one("maybe")
			v.Maybe = &m
		}
		left := map[string]bool{"maybe": v.Maybe == nil, "texts": v.Texts == nil, "list": v.List == nil, "table": v.Table == nil}
		b := Write(&v, func(path string) bool { return !left[path] })
		if !json.Valid(b) {
			t.Fatalf("no JSON: %s", b)
		}
		got, d := read(string(b))
		if err := d.Err(); err != nil && !nul(&v) {
			t.Fatalf("%s: %v", b, err)
		} else if err != nil {
			return
		}
		if len(v.Words) == 0 {
			v.Words = got.Words // off is nil
		}
		if diff := cmp.Diff(v, got, cmp.AllowUnexported(outer{})); diff != "" {
			t.Fatalf("%s (-written +read):\n%s", b, diff)
		}
	})
}

// nul reports whether v has a text that no file may have, or that means something else there.
func nul(v *outer) bool {
	b, err := json.Marshal(v)
	return err != nil || strings.Contains(string(b), `\u0000`)
}

func TestOnlyWhatIsGivenIsWritten(t *testing.T) {
	t.Parallel()
	v, d := read("base: {count: 4}\nlist: [{name: a}]\nwords: on\n")
	want := `{"base":{"count":4},"words":["x","y"],"list":[{"name":"a"}]}`
	if got := string(Write(&v, d.Given)); got != want {
		t.Errorf("%s, want %s", got, want)
	}
	if b := Write(&v, func(string) bool { return false }); b != nil {
		t.Errorf("nothing is given, and %s written", b)
	}
}

func TestLenient(t *testing.T) {
	t.Parallel()
	var v outer
	d := Read("f", []byte(`{"truth":true,"new":{"deep":1},"base":{"name":"a","newer":[1]},"ratio":7}`), &v, Options{Lenient: true})
	ps, _ := d.Err().(Problems)
	if !v.Truth || len(ps) != 1 || ps[0].Key != "ratio" {
		t.Errorf("%+v: %v", v, d.Err())
	}
}
