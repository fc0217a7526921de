package main

import (
	"bytes"
	"strings"
	"testing"
)

func TestReport(t *testing.T) {
	t.Parallel()
	var a, b bytes.Buffer
	for _, w := range []*bytes.Buffer{&a, &b} {
		if err := report(w, 10); err != nil {
			t.Fatal(err)
		}
	}
	if a.String() != b.String() {
		t.Error("two runs have different numbers")
	}
	for _, want := range []string{"| 0.1 % → 1 % |", "200 runs of 400 looks", "Kayenta"} {
		if !strings.Contains(a.String(), want) {
			t.Errorf("there is no %q in\n%s", want, a.String())
		}
	}
	if err := run(1, false); err == nil {
		t.Error("one run has a 90th percentile")
	}
}
