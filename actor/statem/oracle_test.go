package statem_test

import (
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"
)

// testdata/otp25.trace holds plays and what gen_statem of Erlang/OTP 25 made of them. To make it anew, with Erlang at
// hand: go test -run Oracle ./actor/statem -update
var (
	update = flag.Bool("update", false, "make testdata/otp25.trace anew")
	live   = flag.Int("live", 100, "plays to compare with the gen_statem at hand")
	seed   = flag.Uint64("seed", uint64(time.Now().UnixNano()), "of those plays")
)

const golden = "testdata/otp25.trace"

// TestOracleTraces plays what gen_statem has played, on this package and on its model.
func TestOracleTraces(t *testing.T) {
	t.Parallel()
	if *update {
		plays := generated(1, 400)
		var b strings.Builder
		for i, trace := range onOTP(t, plays) {
			fmt.Fprintf(&b, "play\n%strace %s\n", plays[i], trace)
		}
		if err := os.WriteFile(golden, []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	text, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for part := range strings.SplitSeq(strings.TrimPrefix(string(text), "play\n"), "\nplay\n") {
		lines, trace, _ := strings.Cut(strings.TrimSuffix(part, "\n"), "trace ")
		p, err := parsePlay(lines)
		if err != nil {
			t.Fatal(err)
		}
		same(t, p, trace)
		n++
	}
	if n < 400 {
		t.Errorf("%d plays, want 400", n)
	}
}

// TestOracleLive compares with the gen_statem of the Erlang/OTP at hand, in plays made for this run.
func TestOracleLive(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("escript"); err != nil || testing.Short() {
		t.Skip("wants Erlang (apt-get install erlang-base) and six seconds")
	}
	plays := generated(*seed, *live)
	for again := 0; len(plays) > 0; again++ {
		var spoilt []*play
		for i, trace := range onOTP(t, plays) {
			if again < 5 && compare(plays[i], played(t, plays[i]), strings.Fields(trace)) != nil {
				spoilt = append(spoilt, plays[i]) // by a busy machine: Erlang's clock is a real one
				continue
			}
			same(t, plays[i], trace)
		}
		plays = spoilt
	}
	t.Logf("-seed %d", *seed)
}

func same(t *testing.T, p *play, trace string) {
	t.Helper()
	want := strings.Fields(trace)
	if err := compare(p, played(t, p), want); err != nil {
		t.Errorf("statem and gen_statem: %v", err)
	}
	if err := compare(p, modelled(p).trace, want); err != nil {
		t.Errorf("the model and gen_statem: %v", err)
	}
}

// generated makes plays of which the trace does not depend on chance, nor on a fault of OTP 25.
func generated(seed uint64, n int) []*play {
	r := rand.New(rand.NewPCG(seed, 0))
	var all []*play
	for len(all) < n {
		p := generate(r.IntN)
		if m := modelled(p); !m.unclear && !m.strange {
			all = append(all, p)
		}
	}
	return all
}

// onOTP is what gen_statem makes of plays.
func onOTP(t *testing.T, plays []*play) []string {
	t.Helper()
	var in strings.Builder
	for _, p := range plays {
		in.WriteString("play\n" + p.String())
	}
	c := exec.CommandContext(t.Context(), "escript", "testdata/statem.escript", strconv.Itoa(apart), strconv.Itoa(end))
	c.Stdin = strings.NewReader(in.String())
	out, err := c.Output()
	if err != nil {
		var e *exec.ExitError
		if errors.As(err, &e) {
			t.Fatalf("escript: %v\n%s", err, e.Stderr)
		}
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSuffix(string(out), "\n"), "\n")
	if len(lines) != len(plays) {
		t.Fatalf("%d traces for %d plays:\n%s", len(lines), len(plays), out)
	}
	return lines
}
