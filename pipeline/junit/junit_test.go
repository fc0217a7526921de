package junit_test

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"go.uber.org/goleak"

	"semper/pipeline/junit"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// What runners write: Ant's one suite, gotestsum's and pytest's suites, Surefire's repeated tests, suites within suites.
func TestRead(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, in, want string
		passed         bool
	}{
		{"one suite", `<?xml version="1.0" encoding="UTF-8"?><testsuite name="s" tests="99"><testcase classname="cart" name="adds"/></testsuite>`, "1 test passed", true},
		{"skipped", `<testsuites><testsuite><testcase name="a"/><testcase name="b"><skipped message="on Windows"/></testcase></testsuite></testsuites>`, "1 test passed, 1 skipped", true},
		{"all skipped", `<testsuite><testcase name="b"><skipped/></testcase></testsuite>`, "all 1 test were skipped", false},
		{"none", `<testsuites name="empty"></testsuites>`, "the report has no test in it", false},
		{
			"failed", `<testsuites><testsuite><testcase classname="cart" name="adds"><failure message="1 &lt; 2"><![CDATA[</testcase> of nothing]]></failure></testcase>` +
				`<testsuite><testcase classname="cart" name="removes"><error/><system-out>x</system-out></testcase></testsuite><testcase name="is there"/></testsuite></testsuites>`,
			"2 of 3 tests failed: cart.adds, cart.removes", false,
		},
		{"failure outside of a case", `<testsuite><failure/><testcase name="a"><system-out><failure/></system-out></testcase></testsuite>`, "1 test passed", true},
		{"flaky", `<testsuite><testcase name="a"><flakyFailure/></testcase></testsuite>`, "1 test passed", true},
		{"failed twice", `<testsuite><testcase name="a"><failure/><failure/></testcase></testsuite>`, "1 of 1 test failed: a", false},
		{"no name", `<testsuite><testcase><failure/></testcase></testsuite>`, "1 of 1 test failed: a test without a name", false},
		{"many", "<testsuite>" + strings.Repeat(`<testcase name="x"><failure/></testcase>`, 7) + "</testsuite>", "7 of 7 tests failed: x, x, x, x, x and 2 more", false},
		{"a name of many lines", "<testsuite><testcase name=\"a\nb\t" + strings.Repeat("ä", 200) + "\"><failure/></testcase></testsuite>", "1 of 1 test failed: a b " + strings.Repeat("ä", 58) + "…", false},
	} {
		r, err := junit.Read(iotest.OneByteReader(strings.NewReader(c.in)))
		if err != nil || r.String() != c.want || r.Passed() != c.passed {
			t.Errorf("%s: %q, passed %t, %v; want %q", c.name, r, r.Passed(), err, c.want)
		}
	}
}

func TestReadRefuses(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"":                                     "line 1: it is empty",
		"ok 12 tests":                          "line 1: there is text outside of the report",
		`{"tests": 3}`:                         "line 1: there is text outside of the report",
		"<html></html>":                        "line 1: it begins with <html>, and a JUnit report with <testsuites> or <testsuite>",
		"<testsuite>\n<testcase name=\"a\">":   "line 2: it ends within <testcase>: was it cut off?",
		"<testsuite></testsuites>":             "line 1: </testsuites> ends what is not open",
		"<testsuite>\n\n<testcase name=a/>":    "line 3: not well-formed XML: unquoted or missing attribute value in element",
		"<testsuite>&secret;</testsuite>":      "line 1: not well-formed XML: invalid character entity &secret;",
		"<testsuite/><testsuite/>":             "line 1: <testsuite> follows the end of the report",
		"<testsuite><testcase><testcase/>":     "line 1: a <testcase> within another",
		strings.Repeat("<testsuite>", 100):     "line 1: its elements are nested more than 64 deep",
		"<testsuite>\x01</testsuite>":          "line 1: not well-formed XML: illegal character code U+0001",
		`<?xml version="1.0" encoding="x"?>`:   "line 1: not readable as XML: opening charset \"x\": have the runner write UTF-8",
		`<!DOCTYPE a [<!ENTITY b "c">]><a/>`:   "line 1: it begins with <a>, and a JUnit report with <testsuites> or <testsuite>",
		"<testsuite><testcase name=\"a\xff\">": "line 1: not well-formed XML: invalid UTF-8",
	} {
		r, err := junit.Read(strings.NewReader(in))
		place, ok := errors.AsType[*junit.Error](err)
		if !ok || err.Error() != want || place.Line < 1 || r.Tests != 0 {
			t.Errorf("%.60q: %v, %v; want %s", in, r, err, want)
		}
	}
	long := io.MultiReader(strings.NewReader("<testsuite>"), io.LimitReader(zeros{}, junit.MaxReport+1))
	if _, err := junit.Read(long); err == nil || !strings.Contains(err.Error(), "longer than 16 MiB") {
		t.Errorf("a report without an end: %v", err)
	}
	if _, err := junit.Read(iotest.ErrReader(io.ErrClosedPipe)); !errors.Is(err, io.ErrClosedPipe) {
		t.Errorf("an error of the disk: %v", err)
	}
}

// zeros are spaces without an end.
type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = ' '
	}
	return len(p), nil
}

// Whatever a command writes, reading it ends with counts that add up or with a place.
func FuzzRead(f *testing.F) {
	for _, s := range []string{`<testsuite><testcase name="a"><failure/></testcase></testsuite>`, "<testsuites>", `<testsuite><testcase name="é"><skipped/></testcase>`, "<!DOCTYPE a>"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, in string) {
		r, err := junit.Read(strings.NewReader(in))
		if place, ok := errors.AsType[*junit.Error](err); err != nil && (!ok || place.Line < 1) {
			t.Fatalf("%v has no place", err)
		}
		if r.Failed+r.Skipped > r.Tests || len(r.Names) > r.Failed || r.Passed() && (err != nil || r.Failed > 0) || strings.ContainsAny(fmt.Sprint(r), "\n\r") {
			t.Fatalf("%+v, %v", r, err)
		}
	})
}
