package otpcase

import (
	"bytes"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"semper/supervise"
)

func TestReadManyCases(t *testing.T) {
	t.Parallel()
	cases, err := Read(strings.NewReader(`{"name":"a","tree":{}}{"name":"b","tree":{"children":[
		{"id":"x","shutdown":"brutal_kill"},{"id":"y","shutdown":"infinity"},{"id":"z","shutdown":20}]}}` + "\n"))
	if err != nil || len(cases) != 2 || cases[0].Name != "a" {
		t.Fatalf("cases %+v, error %v", cases, err)
	}
	var got []time.Duration
	for _, c := range cases[1].Tree.Children {
		got = append(got, c.shutdown())
	}
	if want := []time.Duration{supervise.Brutal, supervise.Infinity, 20 * time.Millisecond}; !slices.Equal(got, want) {
		t.Errorf("shutdowns %v, want %v", got, want)
	}
}

// Every refusal names the line and the key.
func TestReadRefuses(t *testing.T) {
	t.Parallel()
	tree := func(s string) string { return `{"name":"c","tree":` + s + `}` }
	child := func(s string) string { return tree(`{"children":[{"id":"a",` + s + `}]}`) }
	step := func(s string) string { return `{"name":"c","tree":{},"steps":[` + s + `]}` }
	for _, c := range []struct{ in, want string }{
		{`{`, "line 1: unexpected EOF"},
		{"\n[]", "line 2: the case: got array, want an object"},
		{`{"name":"c",` + "\n\n" + `"tree":{"strategi":1}}`, "line 3: strategi: there is no such key here"},
		{"{\n" + `"name":7}`, "line 2: name: got number, want a string"},
		{"{\n" + `"Name":"c"}`, "line 2: Name: there is no such key; keys have no capital letters"},
		{`{"name":"c","tree":{"period":1,` + "\n" + `"period":2}}`, "line 2: period: the object has it twice"},
		{`{"name":"c","steps":[{"do":"stop"},{"id":"a"}]}`, "line 1: id: there is no such key here"},
		{`{"name":"a b","tree":{}}`, "line 1: name: "},
		{`{"name":"c","tree":{}}` + "\n" + `{"name":"c","tree":{}}`, `line 2: name: "c" is the name of an earlier case`},
		{tree(`{"strategy":"all_for_one"}`), `tree.strategy: "all_for_one", want one of one_for_one, `},
		{tree(`{"intensity":-1}`), "tree.intensity: -1"},
		{tree(`{"period":-1}`), "tree.period: -1"},
		{tree(`{"strategy":"simple_one_for_one"}`), "tree.children: 0 of them"},
		{tree(`{"strategy":"simple_one_for_one","auto_shutdown":"any_significant","children":[{"id":"a"}]}`), "tree.auto_shutdown: any_significant, want never"},
		{tree(`{"children":[{"id":"a"},{"id":"a"}]}`), `tree.children[1].id: "a" is taken`},
		{tree(`{"children":[{"id":"a/b"}]}`), `tree.children[0].id: "a/b"`},
		{child(`"restart":"always"`), `tree.children[0].restart: "always"`},
		{child(`"shutdown":0`), `shutdown is 0: want milliseconds`},
		{child(`"shutdown":"soon"`), `shutdown is "soon": want milliseconds`},
		{child(`"significant":true`), "tree.children[0].significant: true, want false for a permanent"},
		{child(`"restart":"transient","significant":true`), "want false where auto_shutdown is never"},
		{child(`"on_stop":"ignore","shutdown":"infinity"`), "tree.children[0].on_stop: ignore"},
		{child(`"type":"worker","tree":{}`), "tree.children[0].type: worker"},
		{child(`"on_stop":"crash","tree":{}`), "tree.children[0].on_stop: want none"},
		{child(`"shutdown":20,"tree":{}`), "tree.children[0].shutdown: want infinity"},
		{child(`"starts":["maybe"]`), `tree.children[0].starts[0]: "maybe"`},
		{child(`"starts":[""]`), "tree.children[0].starts[0]: "},
		{child(`"tree":{"period":-2}`), "tree.children[0].tree.period: -2"},
		{step(`{"do":"dance"}`), `steps[0].do: "dance"`},
		{step(`{"do":"stop"},{"do":"exit","child":"a"}`), "steps[1].reason: is missing"},
		{step(`{"do":"exit","child":"a","reason":"boredom"}`), `steps[0].reason: "boredom"`},
		{step(`{"do":"stop","child":"a"}`), "steps[0].child: want none for stop"},
		{step(`{"do":"advance","ms":4000000}`), "steps[0].ms: 4000000"},
		{step(`{"do":"start_child","spec":{"id":""}}`), "steps[0].spec.id: "},
	} {
		_, err := Read(strings.NewReader(c.in))
		if !errors.Is(err, ErrInvalid) || !strings.Contains(strings.Replace(err.Error(), "invalid case: ", "", 1), c.want) {
			t.Errorf("%s\n got %v\nwant %s", c.in, err, c.want)
		}
	}
}

// FuzzRead looks for input on which reading panics, and for cases that are read otherwise than they were written.
func FuzzRead(f *testing.F) {
	for _, c := range Generate(1, 20) {
		text, err := json.Marshal(c)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text)
	}
	f.Add([]byte(`{"name":"x","tree":{"children":[{"id":"a","shutdown":"soon"}]}}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		cases, err := Read(bytes.NewReader(text))
		if err != nil && !strings.HasPrefix(err.Error(), "line ") {
			t.Errorf("error %v without a line", err)
		}
		for _, c := range cases {
			text, err := json.Marshal(c)
			if err != nil {
				t.Fatal(err)
			}
			again, err := Read(bytes.NewReader(text))
			if err != nil || !cmp.Equal(again, []Case{c}, cmpopts.EquateEmpty()) {
				t.Errorf("%s is read as %+v, error %v", text, again, err)
			}
		}
	})
}
