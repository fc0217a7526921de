package queue_test

import (
	"strings"
	"testing"

	"semper"
	"semper/queue"
)

func TestPointer(t *testing.T) {
	t.Parallel()
	const document = ` {"a": {"b/c": "x", "~": 1.50, "": true, "n": null}, "list": ["zero", {"id": "\u00e4"}], "n": 7} `
	for at, want := range map[string]string{
		"/a/b~1c": "x", "/a/~0": "1.50", "/a/": "true", "/a/n": "", "/a/n/deeper": "", "/none": "", "/none/deeper": "", "/list/0": "zero", "/list/1/id": "ä", "/list/2": "", "/n": "7",
	} {
		p, err := queue.ReadPointer(at)
		if err != nil || p.String() != at {
			t.Fatalf("%s reads as %s: %v", at, p, err)
		}
		if got, err := p.Text([]byte(document)); err != nil || got != want {
			t.Errorf("%s: %q %v, want %q", at, got, err, want)
		}
	}
	for at, says := range map[string]string{"/a": "no plain value at /a", "/list": "no plain value", "/n/x": "nothing below /n: it is a plain value", "/list/x": `"x" no number`, "/list/01": "no number", "/list/-": "no number"} {
		p, err := queue.ReadPointer(at)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := p.Text([]byte(document)); semper.CodeOf(err) != semper.Invalid || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %q %v, want %q", at, got, err, says)
		}
	}
	p, err := queue.ReadPointer("/a")
	if err != nil {
		t.Fatal(err)
	}
	for document, says := range map[string]string{`{"a": "x"`: "no JSON at byte 9", `{"a": x}`: "byte 7", "": "byte 0", "\xff": "byte 1", `{"a": 1} {}`: "byte 10"} {
		if got, err := p.Text([]byte(document)); semper.CodeOf(err) != semper.Invalid || !strings.Contains(err.Error(), says) {
			t.Errorf("%q: %q %v, want %q", document, got, err, says)
		}
	}
	for _, text := range []string{"", "a", "/a~", "/a~2", strings.Repeat("/a", 17)} {
		if p, err := queue.ReadPointer(text); err == nil {
			t.Errorf("%q reads as %s", text, p)
		}
	}
}
