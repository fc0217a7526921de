package strict

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

type bytes64 int64

func (b bytes64) Bytes() int64 { return int64(b) }

// upper is text in upper case.
type upper string

func (u *upper) UnmarshalText(b []byte) error {
	if strings.ToUpper(string(b)) != string(b) {
		return fmt.Errorf("%q is not upper case: write %s", b, strings.ToUpper(string(b)))
	}
	*u = upper(b)
	return nil
}

type texts []string

func (x *texts) Put(name, value string) error {
	if name == "bad" {
		return errors.New("bad is bad: leave it out")
	}
	*x = append(*x, name+"="+value)
	return nil
}

type inner struct {
	Name  string        `yaml:"name" jsonschema:"required,example=a" doc:"A name."`
	Count int           `yaml:"count" jsonschema:"minimum=1,maximum=9,default=3"`
	Wait  time.Duration `yaml:"wait" off:"off" jsonschema:"default=1s"`
}

type shared struct {
	Mode string `yaml:"mode" jsonschema:"enum=fast,enum=slow,default=fast"`
}

type outer struct {
	Base   inner            `yaml:"base" short:"name"`
	Size   bytes64          `yaml:"size" jsonschema:"default=1KiB"`
	Ratio  float64          `yaml:"ratio" jsonschema:"minimum=0,maximum=1"`
	Code   int              `yaml:"code" jsonschema:"enum=1,enum=3"`
	Upper  upper            `yaml:"upper"`
	Texts  texts            `yaml:"texts"`
	Words  []string         `yaml:"words" on:"x y" off:"off"`
	List   []inner          `yaml:"list" short:"name"`
	Table  map[string]inner `yaml:"table" short:"name"`
	Maybe  *inner           `yaml:"maybe" short:"count"`
	Truth  bool             `yaml:"truth"`
	Path   string           `yaml:"path" jsonschema:"pattern=^/"`
	Hidden string           `yaml:"-"`
	shared
}

func read(text string) (outer, *Doc) {
	var v outer
	Defaults(&v)
	d := Read("f", []byte(text), &v, Options{New: func(v any) {
		if i, ok := v.(*inner); ok {
			Defaults(i)
		}
	}})
	return v, d
}

func TestNotations(t *testing.T) {
	t.Parallel()
	one := func(name string) inner { return inner{name, 3, time.Second} }
	for text, want := range map[string]outer{
		"base: a":                             {Base: one("a")},
		"base: {name: a, wait: off}":          {Base: inner{"a", 3, 0}},
		"base: {name: a, wait: 1m30s}":        {Base: inner{"a", 3, 90 * time.Second}},
		"size: 2 MB\nratio: 0.5\ncode: 3":     {Size: 2e6, Ratio: 0.5, Code: 3},
		"size: 1.5KiB":                        {Size: 1536},
		"upper: ABC\nmode: slow\npath: /a":    {Upper: "ABC", shared: shared{"slow"}, Path: "/a"},
		"texts: {b: 1, a: [true, x]}":         {Texts: texts{"b=1", "a=true", "a=x"}},
		"words: a":                            {Words: []string{"a"}},
		"words: [a, 2]":                       {Words: []string{"a", "2"}},
		"words: on":                           {Words: []string{"x", "y"}},
		"words: off":                          {},
		"list: a":                             {List: []inner{one("a")}},
		"list: {name: a}":                     {List: []inner{one("a")}},
		"list: [a, {name: b, count: 4}]":      {List: []inner{one("a"), {"b", 4, time.Second}}},
		"table: {x.y: a, z: {name: b}}":       {Table: map[string]inner{"x.y": one("a"), "z": one("b")}},
		"maybe: {name: a}":                    {Maybe: new(one("a"))},
		"truth: on":                           {Truth: true},
		"truth: true\nx-mine: {any: [thing]}": {Truth: true},
		"x-a: &a {name: a}\nlist: [*a, {<<: *a, count: 2}]":                     {List: []inner{one("a"), {"a", 2, time.Second}}},
		"x-a: &a {count: 2}\nx-b: &b {name: b, count: 5}\nbase: {<<: [*a, *b]}": {Base: inner{"b", 2, time.Second}},
	} {
		got, d := read(text)
		if err := d.Err(); err != nil {
			t.Errorf("%s\n%v", text, err)
			continue
		}
		if want.Base == (inner{}) {
			want.Base = inner{"", 3, time.Second}
		}
		if want.Size == 0 {
			want.Size = 1024
		}
		if want.Mode == "" {
			want.Mode = "fast"
		}
		if diff := cmp.Diff(want, got, cmp.AllowUnexported(outer{}, shared{})); diff != "" {
			t.Errorf("%s (-want +got):\n%s", text, diff)
		}
	}
}

func TestProblems(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{ // the first line of each
		"basse: a":                       `f:1:1: unknown key "basse": did you mean "base"?`,
		"base: {}":                       `f:1:1: "base" has no name: add "name: a"`,
		"list: [{count: 1}]":             `f:1:8: "list[0]" has no name: add "name: a"`,
		"base: [a]":                      `f:1:7: "name" takes text, not a list`,
		"base: {name: a, count: 10}":     `f:1:24: "count" is 10: it has to be from 1 to 9`,
		"base: {name: a, count: 0x2}":    `f:1:24: "count" takes a whole number, not "0x2"`,
		"base: {name: a, count: 1e0}":    `f:1:24: "count" takes a whole number, not "1e0"`,
		"base: {name: a, wait: 1}":       `f:1:23: "1" has no unit: write "1s" (ms, s, m or h)`,
		"base: {name: a, wait: 2 weeks}": `f:1:23: "2 weeks" is not a duration: write "336h"`,
		"base: {name: a, wait: 5min}":    `f:1:23: "5min" is not a duration: write "5m"`,
		"base: {name: a, wait: 9000h}":   `f:1:23: "wait" is 9000h: it has to be from "1ms" to "8760h", a year`,
		"base: {name: a, name: b}":       `f:1:17: key "name" is given twice: the first is in line 1`,
		"size: 1":                        `f:1:7: "1" has no unit: write "1B", or KiB, MiB, GiB`,
		"size: 1g":                       `f:1:7: "g" is not a unit of size: write "1GiB"`,
		"size: 0B":                       `f:1:7: "size" is 0B: it has to be from "1B" to "1048576GiB"`,
		"size: -1B":                      `f:1:7: "-1B" is not a size: write a number with B, KiB, MiB or GiB, like "64MiB"`,
		"ratio: .inf":                    `f:1:8: "ratio" takes a number, not ".inf"`,
		"code: 2":                        `f:1:7: "code" is 2: it is one of 1, 3`,
		"upper: abc":                     `f:1:8: "abc" is not upper case: write ABC`,
		"texts: {bad: 1}":                `f:1:9: bad is bad: leave it out`,
		"texts: [a]":                     `f:1:8: "texts" takes keys with values, not a list`,
		"texts: {a: {b: c}}":             `f:1:12: "a" takes text, not keys with values`,
		"words:":                         `f:1:1: "words" has no value: give it one or remove the key`,
		"words: [[a]]":                   `f:1:9: "words[0]" takes text, not a list`,
		"truth: yes":                     `f:1:8: "truth" takes true or false, not "yes"`,
		"mode: fsat":                     `f:1:7: "fsat" is not a valid mode: did you mean "fast"?`,
		"mode: !!str fast":               `f:1:7: the tag !!str means nothing here: remove it`,
		"path: a":                        `f:1:7: "a" is not a valid path: write "/a"`,
		"? [a]\n: b":                     `f:1:3: a key has to be text, not a list`,
		"base: {name: b, <<: a}":         `f:1:21: << takes keys with values, not text: name an anchor: <<: *name`,
		"base: *none":                    `f:1:7: not valid YAML: unknown anchor 'none' referenced: define it with & before, or put a value that begins with * in quotes`,
		"base: @a":                       `f:1:7: not valid YAML: found character that cannot start any token: put the value in quotes`,
		"base: \"a":                      `f:1:7: not valid YAML: found unexpected end of stream: close what is opened here`,
		"a: b: c":                        `f:1:5: not valid YAML: mapping values are not allowed in this context: indent it like the keys around it, or put a value with ": " in it in quotes`,
		"base: a\x01":                    `f:1:8: character U+0001 is not allowed: remove it`,
		"base: \u202e\ufffe":             `f:1:8: character U+FFFE is not allowed: remove it`,
		"~":                              `f:1:1: the file is empty`,
		"# nothing":                      `f:1:1: the file is empty`,
	} {
		_, d := read(text)
		err := d.Err()
		if err == nil {
			t.Errorf("%q: nothing is wrong", text)
			continue
		}
		if got, _, _ := strings.Cut(err.Error(), "\n"); got != want {
			t.Errorf("%q:\n%s, want\n%s", text, got, want)
		}
	}
}

func TestAllProblemsInTheOrderOfTheFile(t *testing.T) {
	t.Parallel()
	_, d := read("x-a: &a {name: a, count: 0}\nlist: [*a, *a]\nzzz: 1\nsize: 1\n")
	var ps Problems
	if !errors.As(d.Err(), &ps) || len(ps) != 3 || ps[0].Line != 1 || ps[1].Key != "zzz" || ps[2].Key != "size" {
		t.Errorf("%v", d.Err())
	}
}

func TestPlaces(t *testing.T) {
	t.Parallel()
	_, d := read("base: a\ntable:\n  x.y: {name: b}\n")
	if !d.Given("base.name") || d.Given("base.count") || d.Line("table") != 2 || d.Line(Join("table", "x.y")+".name") != 3 || d.Line("none") != 0 {
		t.Errorf("%v", d.places)
	}
	d.Problem("base.count", "one", "")
	d.Misplaced("table", "two", "")
	d.Problem("list[3].name", "three", "")
	if !d.Wrong("base") || d.Wrong("base.name") || !d.Wrong("list") {
		t.Errorf("%v", d.wrong)
	}
	want := "f:1:1: three\n   1 | base: a\n     | ^\nf:1:7: one\n   1 | base: a\n     |       ^\nf:2:1: two\n   2 | table:\n     | ^~~~~"
	if got := d.Err().Error(); got != want {
		t.Errorf("%s", got)
	}
}

func TestAHostileFileIsBounded(t *testing.T) {
	t.Parallel()
	bomb := "x-0: &0 [a, a, a, a, a, a, a, a, a, a]\n"
	for i := range 3 {
		bomb += fmt.Sprintf("x-%d: &%d [*%d, *%d, *%d, *%d, *%d, *%d, *%d, *%d, *%d, *%d]\n", i+1, i+1, i, i, i, i, i, i, i, i, i, i)
	}
	var long strings.Builder
	long.WriteString("x-w: &w [" + strings.Repeat("a, ", 5000) + "a]\ntexts:\n")
	for i := range 50 {
		fmt.Fprintf(&long, "  k%d: *w\n", i)
	}
	v, d := read(long.String())
	if err := d.Err(); err == nil || !strings.Contains(err.Error(), "aliases make this file larger") || len(v.Texts) > maxValues {
		t.Errorf("%d texts were read", len(v.Texts))
	}
	if _, d := read(bomb + "words: [*3]"); d.Err() == nil {
		t.Error("lists of lists are words")
	}
	_, d = read(strings.Repeat("bad: 1\n", 1000))
	var ps Problems
	if !errors.As(d.Err(), &ps) || len(ps) > maxProblems+1 || !strings.Contains(d.Err().Error(), "there is more wrong") {
		t.Errorf("%d problems", len(ps))
	}
	_, d = read("words: [" + strings.Repeat("aaaaaaaaa, ", 100) + "[x]]")
	if line := strings.Split(d.Err().Error(), "\n")[1]; len(line) > 2*maxSource || !strings.Contains(line, "[x]") {
		t.Errorf("a long line is shown as %s", line)
	}
	if got := (Problem{File: "f", Line: 1, Column: 1, Message: "m", Source: "a\x1b[31m"}).String(); strings.Contains(got, "\x1b") {
		t.Errorf("%q would act on a terminal", got)
	}
}

func TestForeignWords(t *testing.T) {
	t.Parallel()
	var v outer
	d := Read("f", []byte("bytes: 1KiB\nfoo: 1\n"), &v, Options{Foreign: func(s string) []string {
		if s == "bytes" {
			return []string{"none", "size"}
		}
		return nil
	}})
	if err := d.Err().Error(); !strings.Contains(err, `unknown key "bytes": did you mean "size"?`) || !strings.Contains(err, `unknown key "foo": it is one of base, size`) {
		t.Error(err)
	}
}

func TestEdits(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		a, b string
		want int
	}{{"", "", 0}, {"a", "", 1}, {"kitten", "sitting", 3}, {"ab", "ba", 1}, {"ca", "abc", 3}, {"äö", "öä", 1}, {"idel", "idle", 1}} {
		if got, back := edits(c.a, c.b), edits(c.b, c.a); got != c.want || back != c.want {
			t.Errorf("%s, %s: %d and %d, want %d", c.a, c.b, got, back, c.want)
		}
	}
}

func TestSchema(t *testing.T) {
	t.Parallel()
	var s struct {
		Defs       map[string]any `json:"$defs"`
		Properties map[string]any
		Additional bool `json:"additionalProperties"`
		Required   []string
	}
	if err := json.Unmarshal(Schema(reflect.TypeFor[outer](), "id", "title"), &s); err != nil {
		t.Fatal(err)
	}
	if len(s.Properties) != len(keysOf(reflect.TypeFor[outer]())) || s.Additional || s.Defs["inner"] == nil {
		t.Errorf("%+v", s)
	}
	if got := fmt.Sprint(s.Properties["code"]); got != "map[enum:[1 3] type:integer]" {
		t.Error(got)
	}
	if got := fmt.Sprint(s.Properties["words"]); !strings.Contains(got, "[on true]") || !strings.Contains(got, "[off false]") {
		t.Error(got)
	}
}
