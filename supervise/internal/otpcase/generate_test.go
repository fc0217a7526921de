package otpcase

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"
)

func TestGeneratedCasesAreValidAndTheSameForASeed(t *testing.T) {
	t.Parallel()
	cases, more, other := Generate(7, 200), Generate(7, 300), Generate(8, 200)
	for i := range cases {
		if err := cases[i].validate(); err != nil {
			t.Errorf("case %d: %v", i, err)
		}
	}
	if diff := cmp.Diff(cases, more[:200]); diff != "" {
		t.Errorf("the same seed gave other cases:\n%s", diff)
	}
	if cmp.Equal(cases[0].Tree, other[0].Tree) && cmp.Equal(cases[1].Tree, other[1].Tree) {
		t.Error("two seeds gave the same cases")
	}
}

// Each word of the format comes up; otherwise comparing says nothing about it.
func TestGeneratedCasesHaveEverything(t *testing.T) {
	t.Parallel()
	text, err := json.Marshal(Generate(1, 400))
	if err != nil {
		t.Fatal(err)
	}
	for _, w := range slices.Concat(strategies, restarts, autoShutdowns[1:], types[1:], reasons, manners[1:], outcomes, calls,
		[]string{"advance", "release", "stop", "kill", "brutal_kill", "infinity", "significant", "tree"}) {
		if !strings.Contains(string(text), `"`+w+`"`) {
			t.Errorf("no case has %q", w)
		}
	}
}

// Any two moments of a case with short windows are clearly within one period, or clearly more than a period and OTP's
// second apart.
func TestGeneratedMomentsAreClear(t *testing.T) {
	t.Parallel()
	pairs := 0
	for _, c := range Generate(3, 400) {
		if !c.Tree.timed() {
			continue
		}
		for _, tree := range c.Tree.trees() {
			if tree.period() >= timed {
				continue
			}
			moments := []int{0}
			for _, s := range c.Steps {
				if last := moments[len(moments)-1]; s.Ms > 1 {
					moments = append(moments, last+s.Ms)
				}
			}
			for i, a := range moments {
				for _, b := range moments[i+1:] {
					pairs++
					if d, p := b-a, 1000*tree.period(); d > p-int(slack.Milliseconds()) && d < p+1000 {
						t.Errorf("case %s: %d ms apart with a period of %d ms", c.Name, d, p)
					}
				}
			}
		}
	}
	if pairs < 100 {
		t.Errorf("only %d pairs of moments", pairs)
	}
}

func TestShrink(t *testing.T) {
	t.Parallel()
	var big Case
	for _, c := range Generate(11, 100) {
		if hasFailingStart(c) && len(c.Steps) > 8 && len(c.Tree.trees()) > 2 {
			big = c
			break
		}
	}
	small := Shrink(big, func(cuts []Case) []bool {
		found := make([]bool, len(cuts))
		for i, c := range cuts {
			found[i] = hasFailingStart(c)
		}
		return found
	})
	if small.Name != big.Name || !hasFailingStart(small) || len(small.Steps) != 1 || len(small.Steps[0].Starts) != 1 ||
		len(small.Tree.trees()) != 1 {
		t.Errorf("%+v became %+v", big, small)
	}
	if err := small.validate(); err != nil {
		t.Error(err)
	}
}

func hasFailingStart(c Case) bool {
	return slices.ContainsFunc(c.Steps, func(s Step) bool { return s.Do == "starts" && slices.Contains(s.Starts, "fail") })
}

func TestTracesCanBeParsed(t *testing.T) {
	t.Parallel()
	var text strings.Builder
	want := map[string]Trace{}
	for _, c := range Generate(5, 20) {
		synctest.Test(t, func(t *testing.T) {
			trace, err := Run(t.Context(), c)
			if err != nil {
				t.Fatal(err)
			}
			want[c.Name] = trace
			text.WriteString(trace.String())
		})
	}
	got, err := ParseTraces(text.String())
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Errorf("error %v, difference\n%s", err, diff)
	}
	for _, bad := range []string{"boot\n", "case a\ncase a\n"} {
		if _, err := ParseTraces(bad); err == nil {
			t.Errorf("%q was parsed", bad)
		}
	}
}

// A case with short windows whose work takes longer than the steps say is not worth comparing.
func TestLate(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := Case{Name: "late", Tree: Tree{Children: []Child{{ID: "a", OnStop: "ignore", Shutdown: Shutdown(2 * slack)}}},
			Steps: []Step{{Do: "terminate_child", Child: "a"}}}
		if _, err := Run(t.Context(), c); err != ErrLate {
			t.Errorf("error %v, want ErrLate", err)
		}
		c.Tree.Period = timed
		if _, err := Run(t.Context(), c); err != nil {
			t.Errorf("with a long window: error %v", err)
		}
	})
}
