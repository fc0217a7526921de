package application

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// Of any applications, either the order has each after all it depends on, or the error names a real cycle.
func TestOrderProperty(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 12).Draw(t, "n")
		known := map[string]*Application{}
		var all []string
		for i := range n {
			a := &Application{Name: fmt.Sprint(i)}
			for _, d := range rapid.SliceOfNDistinct(rapid.IntRange(0, n-1), 0, 2, rapid.ID).Draw(t, "depends") {
				a.Dependencies = append(a.Dependencies, fmt.Sprint(d))
			}
			known[a.Name] = a
			all = append(all, a.Name)
		}
		wanted := rapid.SliceOf(rapid.SampledFrom(all)).Draw(t, "wanted")
		got, err := order(known, wanted)
		var cycle *CycleError
		if errors.As(err, &cycle) {
			p := cycle.Path
			if len(p) < 2 || p[0] != p[len(p)-1] {
				t.Fatalf("%v is no cycle", p)
			}
			for i := range p[1:] {
				if !slices.Contains(known[p[i]].Dependencies, p[i+1]) {
					t.Fatalf("%s does not depend on %s", p[i], p[i+1])
				}
			}
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		at := map[string]int{}
		for i, name := range got {
			if _, twice := at[name]; twice {
				t.Fatalf("%s twice in %v", name, got)
			}
			at[name] = i
			for _, d := range known[name].Dependencies {
				if j, ok := at[d]; !ok || j >= i {
					t.Fatalf("%s comes before %s in %v", name, d, got)
				}
			}
		}
		for _, w := range wanted {
			if _, ok := at[w]; !ok {
				t.Fatalf("%s is missing in %v", w, got)
			}
		}
	})
}

// The merged order of phases keeps the order of each application.
func TestPhasesProperty(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		all := []string{"a", "b", "c", "d", "e"}
		var apps []*Application
		agree := rapid.Bool().Draw(t, "agree")
		for range rapid.IntRange(0, 5).Draw(t, "apps") {
			names := rapid.SliceOfDistinct(rapid.SampledFrom(all), rapid.ID).Draw(t, "phases")
			if agree {
				slices.Sort(names)
			}
			a := &Application{}
			for _, n := range names {
				a.Phases = append(a.Phases, Phase{Name: n})
			}
			apps = append(apps, a)
		}
		got, err := phases(apps)
		if err != nil {
			if agree || !errors.Is(err, ErrCycle) {
				t.Fatal(err)
			}
			return
		}
		for _, a := range apps {
			last := -1
			for _, p := range a.Phases {
				i := slices.Index(got, p.Name)
				if i <= last {
					t.Fatalf("%v does not keep the order of %v", got, a.Phases)
				}
				last = i
			}
		}
	})
}

func TestNearest(t *testing.T) {
	t.Parallel()
	known := map[string]*Application{"a": {}, "database": {}, "web": {}, "wob": {}, "cache": {}}
	for n, want := range map[string]string{"databse": "database", "Cache": "cache", "wab": "web", "metrics": "", "": "", "wxy": "", "x": ""} {
		if got := nearest(n, known); got != want {
			t.Errorf("nearest(%q) = %q, want %q", n, got, want)
		}
	}
}
