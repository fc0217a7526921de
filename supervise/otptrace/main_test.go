package main

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"strings"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func command(t *testing.T, in string, args ...string) (code int, out, errs string) {
	t.Helper()
	var o, e bytes.Buffer
	code = run(t.Context(), args, strings.NewReader(in), &o, &e)
	return code, o.String(), e.String()
}

// example is the case that the help shows.
func example(t *testing.T) string {
	t.Helper()
	i, j := strings.Index(usage, `{"name"`), strings.Index(usage, "\n\ncase ")
	if i < 0 || j < i {
		t.Fatal("the help shows no example")
	}
	return usage[i:j]
}

const exampleTrace = `case example
boot
  start db
  start web/a
  start web/b
  start web
  / db up, web up; active 2, supervisors 1, workers 1
  /web a up, b up; active 2, supervisors 0, workers 2
1 exit web/b normal
  down web/b normal
  /web a up, b undefined; active 1, supervisors 0, workers 2
2 starts web/a fail
3 exit db crash
  down db crash
  stop web/a
  down web/a shutdown
  down web shutdown
  start db
  startfail web/a
  startfail web
  start web/a
  start web/b
  start web
  /web a up, b up; active 2, supervisors 0, workers 2
release all
end
  stop web/b
  down web/b shutdown
  stop web/a
  down web/a shutdown
  down web shutdown
  down db killed
ended: shutdown
`

func TestExample(t *testing.T) {
	t.Parallel()
	code, out, errs := command(t, example(t))
	if code != 0 || errs != "" || out != exampleTrace {
		t.Errorf("status %d, errors %q, trace\n%s", code, errs, out)
	}
}

// TestExampleOfTheTwin plays the help's example on OTP.
func TestExampleOfTheTwin(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("escript"); err != nil {
		t.Skip("no escript: install erlang-base")
	}
	cmd := exec.CommandContext(t.Context(), "escript", "otptrace.escript")
	cmd.Stdin, cmd.Stderr = strings.NewReader(example(t)), os.Stderr
	out, err := cmd.Output()
	if err != nil || string(out) != exampleTrace {
		t.Errorf("error %v, trace\n%s", err, out)
	}
}

func TestHelp(t *testing.T) {
	t.Parallel()
	if code, out, errs := command(t, "", "-help"); code != 0 || out != "" || errs != usage {
		t.Errorf("status %d, output %q, errors %q", code, out, errs)
	}
}

func TestBadInput(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ in, want string }{
		{`{"name":"x",` + "\n" + `"tree":{"childs":[]}}`, "otptrace: line 2: invalid case: childs: there is no such key here; otptrace -help lists those there are\n"},
		{`{"name":"x","tree":{"children":[{"id":"a","restrat":"x"}]}}`, "otptrace: line 1: invalid case: restrat: there is no such key here; did you mean \"restart\"? otptrace -help lists those there are\n"},
		{`{"name":"x","tree":{},"steps":[{"do":"x","chlid":"a"}]}`, "otptrace: line 1: invalid case: chlid: there is no such key here; did you mean \"child\"? otptrace -help lists those there are\n"},
		{`{"name":"x","tree":{}} {"name":`, "otptrace: line 1: invalid case: unexpected EOF\n"},
	} {
		if code, out, errs := command(t, c.in); code != 2 || out != "" || errs != c.want {
			t.Errorf("%s: status %d, output %q, errors %q", c.in, code, out, errs)
		}
	}
	if code, _, errs := command(t, "", "file"); code != 2 || !strings.Contains(errs, "stdin") {
		t.Errorf("an argument: status %d, errors %q", code, errs)
	}
	if code, _, _ := command(t, "", "-nonsense"); code != 2 {
		t.Errorf("an unknown flag: status %d", code)
	}
}

func TestGeneratedCasesCanBePlayed(t *testing.T) {
	t.Parallel()
	code, cases, errs := command(t, "", "-generate", "3", "-seed", "1")
	if code != 0 || strings.Count(cases, "\n") != 3 {
		t.Fatalf("status %d, errors %q, cases\n%s", code, errs, cases)
	}
	if code, out, errs := command(t, cases); code != 0 || strings.Count(out, "case s1-") != 3 {
		t.Errorf("status %d, errors %q, traces\n%s", code, errs, out)
	}
}

func TestInterrupt(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	var out, errs bytes.Buffer
	in := `{"name":"x","tree":{"children":[{"id":"a"}]},"steps":[{"do":"advance","ms":3600000}]}`
	if code := run(ctx, nil, strings.NewReader(in), &out, &errs); code != 1 || out.Len() > 0 || !strings.Contains(errs.String(), "case x: context canceled") {
		t.Errorf("status %d, output %q, errors %q", code, &out, &errs)
	}
}
