package telemetry

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// The bus against a list: whatever is attached, detached and executed in turn, the same handlers are called in the same
// order, those that panic once only.
func TestModel(t *testing.T) {
	t.Parallel()
	type entry struct {
		id     string
		events []string
		bad    bool
	}
	events := []string{"a", "a.b", "a.b.c", "b"}
	rapid.Check(t, func(t *rapid.T) {
		var b Bus
		emitters := map[string]*Emitter[int, int]{}
		for _, e := range events {
			emitters[e] = NewEmitter[int, int](&b, e)
		}
		var model []entry
		var got []string
		id := rapid.SampledFrom([]string{"1", "2", "3", "4"})
		find := func(id string) int { return slices.IndexFunc(model, func(e entry) bool { return e.id == id }) }
		t.Repeat(map[string]func(*rapid.T){
			"attach": func(t *rapid.T) {
				e := entry{id.Draw(t, "id"), rapid.SliceOfNDistinct(rapid.SampledFrom(events), 1, -1, rapid.ID).Draw(t, "events"), rapid.IntRange(0, 4).Draw(t, "bad") == 0}
				call := func() {
					got = append(got, e.id)
					if e.bad {
						panic("bad")
					}
				}
				var err error
				if len(e.events) == 1 && rapid.Bool().Draw(t, "typed") {
					err = emitters[e.events[0]].Attach(e.id, func(context.Context, int, int) { call() })
				} else {
					err = b.AttachMany(e.id, e.events, func(context.Context, Event) { call() }, nil)
				}
				if taken := find(e.id) >= 0; taken != errors.Is(err, ErrAlreadyExists) || !taken && err != nil {
					t.Fatalf("attach %s, taken %v: %v", e.id, taken, err)
				} else if !taken {
					model = append(model, e)
				}
			},
			"detach": func(t *rapid.T) {
				i := find(id.Draw(t, "id"))
				if i < 0 {
					return
				}
				if err := b.Detach(model[i].id); err != nil {
					t.Fatal(err)
				}
				model = slices.Delete(model, i, i+1)
			},
			"execute": func(t *rapid.T) {
				name := rapid.SampledFrom(events).Draw(t, "event")
				var want []string
				for _, e := range model {
					if slices.Contains(e.events, name) {
						want = append(want, e.id)
					}
				}
				model = slices.DeleteFunc(model, func(e entry) bool { return e.bad && slices.Contains(e.events, name) })
				if got = nil; rapid.Bool().Draw(t, "by emitter") {
					emitters[name].Execute(context.Background(), 1, 2)
				} else {
					b.Execute(context.Background(), name, 1, 2)
				}
				if !slices.Equal(got, want) {
					t.Fatalf("%s went to %v, want %v", name, got, want)
				}
			},
			"": func(t *rapid.T) {
				prefix := rapid.SampledFrom(append(events, "")).Draw(t, "prefix")
				var want, have []string
				for _, e := range model {
					for _, n := range e.events {
						if strings.HasPrefix(n+".", prefix+".") || prefix == "" {
							want = append(want, fmt.Sprint(n, "/", e.id))
						}
					}
				}
				for _, a := range b.List(prefix) {
					have = append(have, fmt.Sprint(a.Event, "/", a.ID))
				}
				slices.Sort(want)
				slices.Sort(have)
				if !slices.Equal(have, want) {
					t.Fatalf("list %q is %v, want %v", prefix, have, want)
				}
				for _, e := range events {
					if b.Listening(e) != emitters[e].Listening() {
						t.Fatalf("the emitter of %s does not see what the bus sees", e)
					}
				}
			},
		})
	})
}
