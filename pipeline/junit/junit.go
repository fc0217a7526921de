package junit

import (
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Bounds of what is read and kept.
const (
	MaxReport = 16 << 20 // bytes of a report
	maxDepth  = 64       // of elements within one another
	maxNamed  = 5        // names of failing tests that are kept
	maxName   = 120      // bytes of one
)

var errCharset = errors.New("have the runner write UTF-8")

// An Error is why a report says nothing, and where.
type Error struct {
	Line int // from 1
	Why  string
}

func (e *Error) Error() string { return fmt.Sprintf("line %d: %s", e.Line, e.Why) }

// A Report is what became of a suite's tests.
type Report struct {
	Tests   int // all of them, skipped ones too
	Skipped int
	Failed  int      // by an assertion that did not hold, or by an error
	Names   []string // of the first that failed, as "suite.test"
}

// Passed reports whether tests ran, and none failed.
func (r Report) Passed() bool { return r.Failed == 0 && r.Tests > r.Skipped }

// String is the report in one line: "2 of 40 tests failed: cart.adds, cart.removes".
func (r Report) String() string {
	switch {
	case r.Tests == 0:
		return "the report has no test in it"
	case r.Tests == r.Skipped:
		return fmt.Sprintf("all %s were skipped", tests(r.Tests))
	case r.Failed == 0 && r.Skipped == 0:
		return tests(r.Tests) + " passed"
	case r.Failed == 0:
		return fmt.Sprintf("%s passed, %d skipped", tests(r.Tests-r.Skipped), r.Skipped)
	}
	s := fmt.Sprintf("%d of %s failed: %s", r.Failed, tests(r.Tests), strings.Join(r.Names, ", "))
	if more := r.Failed - len(r.Names); more > 0 {
		s += fmt.Sprintf(" and %d more", more)
	}
	return s
}

func tests(n int) string {
	if n == 1 {
		return "1 test"
	}
	return strconv.Itoa(n) + " tests"
}

// Read reads a report. The error is an [*Error], or that of in.
func Read(in io.Reader) (Report, error) {
	limited := &io.LimitedReader{R: in, N: MaxReport + 1}
	d := &reader{x: xml.NewDecoder(limited)}
	d.x.CharsetReader = func(string, io.Reader) (io.Reader, error) { return nil, errCharset }
	for {
		token, err := d.x.RawToken()
		switch {
		case limited.N <= 0:
			return Report{}, d.wrong("it is longer than " + strconv.Itoa(MaxReport>>20) + " MiB")
		case errors.Is(err, io.EOF):
			return d.end()
		case err != nil:
			return Report{}, d.explain(err)
		}
		if err := d.take(token); err != nil {
			return Report{}, err
		}
	}
}

// A reader is how far a report is read.
type reader struct {
	x      *xml.Decoder
	report Report
	open   []string // elements, from the outermost
	began  bool
	test   string // the case that is open
	failed bool
	skips  bool
}

func (d *reader) wrong(why string) error {
	line, _ := d.x.InputPos()
	return &Error{Line: line, Why: why}
}

// explain is what is wrong with the XML; an error of the reader beneath it stays as it is.
func (d *reader) explain(err error) error {
	if syntax, ok := errors.AsType[*xml.SyntaxError](err); ok {
		if syntax.Msg == "unexpected EOF" {
			return &Error{Line: syntax.Line, Why: "it ends in the middle: was it cut off?"}
		}
		return &Error{Line: syntax.Line, Why: "not well-formed XML: " + syntax.Msg}
	}
	if strings.HasPrefix(err.Error(), "xml: ") {
		return d.wrong("not readable as XML: " + strings.TrimPrefix(err.Error(), "xml: "))
	}
	return err
}

func (d *reader) end() (Report, error) {
	switch {
	case len(d.open) > 0:
		return Report{}, d.wrong("it ends within <" + d.open[len(d.open)-1] + ">: was it cut off?")
	case !d.began:
		return Report{}, d.wrong("it is empty")
	}
	return d.report, nil
}

func (d *reader) take(token xml.Token) error {
	switch t := token.(type) {
	case xml.StartElement:
		return d.begin(t)
	case xml.EndElement:
		return d.close(t.Name.Local)
	case xml.CharData:
		if len(d.open) == 0 && strings.TrimSpace(strings.TrimPrefix(string(t), "\ufeff")) != "" {
			return d.wrong("there is text outside of the report")
		}
	}
	return nil
}

func (d *reader) begin(t xml.StartElement) error {
	name := t.Name.Local
	switch {
	case len(d.open) == maxDepth:
		return d.wrong("its elements are nested more than " + strconv.Itoa(maxDepth) + " deep")
	case len(d.open) == 0 && d.began:
		return d.wrong("<" + short(name) + "> follows the end of the report")
	case len(d.open) == 0 && name != "testsuites" && name != "testsuite":
		return d.wrong("it begins with <" + short(name) + ">, and a JUnit report with <testsuites> or <testsuite>")
	}
	d.began = true
	d.open = append(d.open, name)
	if name == "testcase" {
		if d.test != "" {
			return d.wrong("a <testcase> within another")
		}
		d.test, d.failed, d.skips = caseName(t.Attr), false, false
		return nil
	}
	if d.test == "" || d.open[len(d.open)-2] != "testcase" {
		return nil
	}
	switch name { // what else is there, as flakyFailure, did not decide
	case "failure", "error":
		d.failed = true
	case "skipped":
		d.skips = true
	}
	return nil
}

func (d *reader) close(name string) error {
	if len(d.open) == 0 || d.open[len(d.open)-1] != name {
		return d.wrong("</" + short(name) + "> ends what is not open")
	}
	d.open = d.open[:len(d.open)-1]
	if name != "testcase" {
		return nil
	}
	d.report.Tests++
	switch {
	case d.failed:
		if d.report.Failed++; len(d.report.Names) < maxNamed {
			d.report.Names = append(d.report.Names, d.test)
		}
	case d.skips:
		d.report.Skipped++
	}
	d.test = ""
	return nil
}

// caseName is a case by its class and its own name, as far as it has them.
func caseName(attributes []xml.Attr) string {
	class, name := "", ""
	for _, a := range attributes {
		switch a.Name.Local {
		case "classname":
			class = a.Value
		case "name":
			name = a.Value
		}
	}
	switch {
	case name == "" && class == "":
		return "a test without a name"
	case name == "" || class == "":
		return short(class + name)
	}
	return short(class + "." + name)
}

// short is a name in one line and of a bounded length: whoever wrote the tests wrote it.
func short(s string) string {
	s = strings.Join(strings.Fields(s), " ")
	if len(s) <= maxName {
		return s
	}
	cut := maxName
	for !utf8.RuneStart(s[cut]) {
		cut--
	}
	return s[:cut] + "…"
}
