package conformance_test

import (
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/summerwind/h2spec/config"
	"github.com/summerwind/h2spec/generic"
	"github.com/summerwind/h2spec/hpack"
	"github.com/summerwind/h2spec/http2"
	"github.com/summerwind/h2spec/spec"
)

// h2specExceptions are the tests of h2spec that the edge does not pass, each with the reason. One that passes fails the
// test.
var h2specExceptions = map[string]exception{
	"http2/4.2/3":     {why: "h2spec sends 20,000 bytes where the server's settings allow frames of 1 MiB"},
	"http2/6.5.3/1":   {why: "x/net hangs up on a SETTINGS frame that sets one thing twice; no client has a use for it"},
	"http2/6.9.1/3":   {why: "the stream may be reset for another reason before the window overflows", sometimes: true},
	"http2/8.1.2.2/1": {why: "answered with 400 and not forwarded: RFC 9113, 8.1.1 allows a response before the stream error; h2spec is of 2019"},
	"http2/8.1.2.2/2": {why: "the same"},
	"http2/8.1.2.6/1": {why: "answered with 400, and the stream ends by an error: the two race", sometimes: true},
	"http2/8.1.2.6/2": {why: "the same; the answer and the stream error race", sometimes: true},
}

// specResult is what the child reports of one test.
type specResult struct {
	ID, Desc, Requirement, Actual string
	Failed, Skipped               bool
}

// TestH2spec runs all of h2spec against the edge's TLS listener. h2spec writes to standard output and keeps its state in
// variables, so it has a process of its own: this test's binary once more.
func TestH2spec(t *testing.T) {
	t.Parallel()
	target := edgeTarget(t)
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), "CONFORMANCE_H2SPEC="+target.TLS)
	var log, report strings.Builder
	cmd.Stdout, cmd.Stderr = &log, &report
	if err := cmd.Run(); err != nil {
		t.Fatalf("h2spec: %v\n%s%s", err, log.String(), report.String())
	}
	var all []specResult
	if err := json.Unmarshal([]byte(report.String()), &all); err != nil {
		t.Fatalf("the report of h2spec: %v\n%s", err, report.String())
	}
	if len(all) < 140 {
		t.Errorf("only %d tests were run", len(all))
	}
	for _, r := range all {
		e, excepted := h2specExceptions[r.ID]
		switch {
		case r.Failed && !excepted:
			t.Errorf("%s %s: %s: %s", r.ID, r.Desc, r.Requirement, r.Actual)
		case r.Failed:
			t.Logf("%s %s: %s", r.ID, r.Desc, e.why)
		case excepted && !e.sometimes:
			t.Errorf("%s passes now: take it out of the exceptions", r.ID)
		case r.Skipped:
			t.Logf("%s %s: skipped by h2spec", r.ID, r.Desc)
		}
	}
}

// h2specProcess is the child.
func h2specProcess(addr string) {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		panic(err)
	}
	n, err := strconv.Atoi(port)
	if err != nil {
		panic(err)
	}
	c := &config.Config{Host: host, Port: n, Path: "/", Timeout: 10 * time.Second, MaxHeaderLen: 4000, Strict: true, TLS: true, Insecure: true}
	all := []specResult{}
	for _, g := range []*spec.TestGroup{generic.Spec(), http2.Spec(), hpack.Spec()} {
		g.Test(c)
		all = append(all, results(g)...)
	}
	if err := json.NewEncoder(os.Stderr).Encode(all); err != nil {
		panic(err)
	}
}

// results are those of a group and the groups in it.
func results(g *spec.TestGroup) (all []specResult) {
	for _, c := range append(g.Tests, g.StrictTests...) {
		r := c.Result
		if r == nil {
			continue
		}
		s := specResult{ID: fmt.Sprintf("%s/%d", g.ID(), r.Sequence), Desc: c.Desc, Requirement: c.Requirement, Failed: r.Failed, Skipped: r.Skipped}
		if r.Error != nil {
			s.Actual = r.Error.Error()
		}
		all = append(all, s)
	}
	for _, in := range g.Groups {
		all = append(all, results(in)...)
	}
	return all
}
