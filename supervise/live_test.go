package supervise_test

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"semper/supervise/internal/otpcase"
)

var update = flag.Bool("update", false, "write testdata/live anew from what the Erlang/OTP of this machine does")

// golden is a case with what OTP did in it, one line of testdata/live.
type golden struct {
	Case  otpcase.Case `json:"case"`
	Trace []string     `json:"trace"`
}

const (
	goldenFile  = "testdata/live/otp25.jsonl"
	goldenSeed  = 25 // any would do
	goldenCases = 300
	liveCases   = 200
	maxShrunk   = 3 // differing cases that are made small
)

// TestLiveGolden replays cases whose traces OTP 25 wrote:
//
//	go test ./supervise -run TestLiveGolden -update
func TestLiveGolden(t *testing.T) {
	t.Parallel()
	if *update {
		writeGolden(t)
	}
	f, err := os.Open(goldenFile)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 1<<20)
	n := 0
	for ; lines.Scan(); n++ {
		var g golden
		if err := json.Unmarshal(lines.Bytes(), &g); err != nil {
			t.Fatalf("line %d: %v", n+1, err)
		}
		t.Run(g.Case.Name, func(t *testing.T) {
			t.Parallel()
			got := semper(t, g.Case)
			if diff := gocmp.Diff(g.Trace, got.Lines); diff != "" {
				t.Errorf("OTP 25 (-) and semper (+) differ:\n%s", diff)
			}
		})
	}
	if err := lines.Err(); err != nil {
		t.Fatal(err)
	}
	if n < 200 {
		t.Errorf("%d golden cases, want 200 or more", n)
	}
}

// TestLive plays generated cases on the Erlang/OTP of this machine and on semper. SEMPER_OTP_SEED chooses the cases,
// SEMPER_OTP_CASES their number.
func TestLive(t *testing.T) {
	t.Parallel()
	requireOTP(t)
	seed, n := setting(t, "SEMPER_OTP_SEED", rand.Uint64()>>32), int(setting(t, "SEMPER_OTP_CASES", liveCases))
	t.Logf("SEMPER_OTP_SEED=%d SEMPER_OTP_CASES=%d", seed, n)
	cases := otpcase.Generate(seed, n)
	want := otp(t, cases)
	type difference struct {
		in   otpcase.Case
		what string
	}
	var differ []difference
	compared := 0
	for _, c := range cases {
		if late(want[c.Name]) {
			continue
		}
		compared++
		if diff := gocmp.Diff(want[c.Name].Lines, semper(t, c).Lines); diff != "" {
			differ = append(differ, difference{c, diff})
		}
	}
	t.Logf("%d of %d cases compared", compared, n)
	if compared < n/2 {
		t.Errorf("only %d of %d cases compared: OTP was too slow for the windows of the others", compared, n)
	}
	for i, d := range differ {
		if i == maxShrunk {
			t.Errorf("and %d more", len(differ)-i)
			break
		}
		report(t, d.in, d.what)
	}
}

// report shows a case in which the two differ, and then makes it as small as it gets: a machine that is too slow for that has
// said what it knows. One that is the same when it is played again was the machine, or one of the two sides leaves something to
// chance.
func report(t *testing.T, c otpcase.Case, diff string) {
	t.Helper()
	t.Errorf("OTP (-) and semper (+) differ in\n%s\n%s", asJSON(t, c), diff)
	small := otpcase.Shrink(c, func(cuts []otpcase.Case) []bool {
		differs := make([]bool, len(cuts))
		for i, trace := range traces(otp(t, cuts), cuts) {
			if !late(trace) && !slices.Equal(trace.Lines, semper(t, cuts[i]).Lines) {
				differs[i] = true
				break // the first is taken
			}
		}
		return differs
	})
	again := gocmp.Diff(otp(t, []otpcase.Case{small})[small.Name].Lines, semper(t, small).Lines)
	if again == "" {
		t.Log("played again it is the same")
		return
	}
	t.Errorf("made small, they differ in\n%s\n%s", asJSON(t, small), again)
}

func asJSON(t *testing.T, c otpcase.Case) []byte {
	t.Helper()
	text, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func traces(all map[string]otpcase.Trace, of []otpcase.Case) []otpcase.Trace {
	list := make([]otpcase.Trace, len(of))
	for i, c := range of {
		list[i] = all[c.Name]
	}
	return list
}

// semper plays a case in virtual time.
func semper(t *testing.T, c otpcase.Case) (trace otpcase.Trace) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		var err error
		if trace, err = otpcase.Run(t.Context(), c); err != nil {
			t.Errorf("case %s: %v", c.Name, err)
		}
	})
	return trace
}

// otp plays cases on OTP.
func otp(t *testing.T, cases []otpcase.Case) map[string]otpcase.Trace {
	t.Helper()
	if len(cases) == 0 {
		return nil
	}
	var in, out, errs bytes.Buffer
	enc := json.NewEncoder(&in)
	for _, c := range cases {
		if err := enc.Encode(c); err != nil {
			t.Fatal(err)
		}
	}
	deadline, ok := t.Deadline()
	if !ok {
		deadline = time.Now().Add(10 * time.Minute)
	}
	ctx, cancel := context.WithDeadline(context.Background(), deadline.Add(-10*time.Second))
	defer cancel()
	cmd := exec.CommandContext(ctx, "escript", filepath.Join("otptrace", "otptrace.escript"))
	cmd.Stdin, cmd.Stdout, cmd.Stderr = &in, &out, &errs
	if err := cmd.Run(); err != nil {
		t.Fatalf("escript: %v\n%s", cmp.Or(context.Cause(ctx), err), &errs)
	}
	all, err := otpcase.ParseTraces(out.String())
	if err != nil {
		t.Fatal(err)
	}
	if len(all) != len(cases) {
		t.Fatalf("%d cases, but %d traces of OTP", len(cases), len(all))
	}
	return all
}

// late says that the machine was too busy for the windows of a case, and that OTP's trace of it says nothing.
func late(t otpcase.Trace) bool { return len(t.Lines) == 1 && t.Lines[0] == "late" }

func requireOTP(t *testing.T) {
	t.Helper()
	if _, err := exec.LookPath("escript"); errors.Is(err, exec.ErrNotFound) {
		t.Skip("no escript: install erlang-base to compare with OTP itself; TestLiveGolden replays what it did")
	}
}

func setting(t *testing.T, name string, otherwise uint64) uint64 {
	t.Helper()
	text := os.Getenv(name)
	if text == "" {
		return otherwise
	}
	n, err := strconv.ParseUint(text, 10, 32)
	if err != nil || n == 0 {
		t.Fatalf("%s is %q, want a number from 1 on", name, text)
	}
	return n
}

func writeGolden(t *testing.T) {
	t.Helper()
	requireOTP(t)
	cases := otpcase.Generate(goldenSeed, goldenCases)
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	for i, trace := range traces(otp(t, cases), cases) {
		if late(trace) {
			continue
		}
		if err := enc.Encode(golden{cases[i], trace.Lines}); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.MkdirAll(filepath.Dir(goldenFile), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(goldenFile, out.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
}
