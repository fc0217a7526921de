package config

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestExpand(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"":                              "",
		"plain":                         "plain",
		"${REGION}":                     "eu",
		"a${REGION}b${N}c":              "aeub4c",
		"${EMPTY}":                      "",
		"${EMPTY:-x}":                   "x",
		"${MISSING:-}":                  "",
		"${MISSING:-a b}":               "a b",
		"${MISSING:-${REGION}}":         "eu",
		"${MISSING:-${ALSO:-$$}}":       "$",
		"${MISSING:-${ALSO:-{}}":        "{",
		"${REGION:-${NEVER_LOOKED_AT}}": "eu",
		"${REGION:?no region}":          "eu",
		"$$":                            "$",
		"$$$$":                          "$$",
		"$${REGION}":                    "${REGION}",
		"$$${REGION}":                   "$eu",
		"$PORT $1 $":                    "$PORT $1 $",
		"a$":                            "a$",
		"{}":                            "{}",
		"üb${REGION}er":                 "übeuer",
	} {
		e := expansion{lookup: environment}
		if got := e.text(in, 0); got != want || len(e.wrong) > 0 {
			t.Errorf("%q: %q, want %q; wrong %v", in, got, want, e.wrong)
		}
	}
	e := expansion{lookup: environment}
	e.text("${REGION} ${N:-1} ${MISSING:-${EMPTY}}", 0)
	if diff := cmp.Diff([]string{"REGION", "N", "MISSING", "EMPTY"}, e.vars); diff != "" {
		t.Error(diff)
	}
}

func TestExpandIsBounded(t *testing.T) {
	t.Parallel()
	for _, in := range []string{
		strings.Repeat("${A:-", 1<<17), strings.Repeat("${A:-", 1<<17) + strings.Repeat("}", 1<<17), strings.Repeat("${", 1<<19), strings.Repeat("$", 1<<20),
	} {
		e := expansion{lookup: environment}
		e.text(in, 0)
		if in[1] == '{' && len(e.wrong) == 0 {
			t.Errorf("%.20q…: nothing wrong", in)
		}
	}
}
