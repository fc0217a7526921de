package judging_test

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"semper"
	"semper/control/judging"
	"semper/verify"
)

func pairs(n, candidate, baseline int64) verify.Batch {
	return verify.Batch{Candidate: verify.Arm{Requests: n, Bad: candidate}, Baseline: verify.Arm{Requests: n, Bad: baseline}}
}

// TestKilled kills control at any moment: what it had not stored is gone. The next one goes on as one that had not looked in
// between, and so no request is lost or counted twice.
func TestKilled(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		w := newWorld(rapid.Uint64().Draw(rt, "seed"), behaviour{errors: .01, median: time.Millisecond}, behaviour{errors: .02, median: time.Millisecond})
		w.rate = 30
		w.share = .3
		w.edges = []string{"edge-1@0", "edge-2@0"}
		killed, steady := newJudge(t, terms()), newJudge(t, terms())
		stored := encode(t, killed)
		var since []judging.Look // the last store
		settle := func() {
			for _, l := range since {
				if _, err := steady.Look(l); err != nil {
					rt.Fatal(err)
				}
			}
			since = nil
		}
		served := int64(0)
		for range rapid.IntRange(5, 25).Draw(rt, "seconds") {
			switch rapid.IntRange(0, 9).Draw(rt, "what") {
			case 0:
				var err error
				if killed, err = judging.Resume(terms(), stored); err != nil {
					rt.Fatal(err)
				}
				since = nil
			case 1:
				stored = encode(t, killed)
				settle()
			case 2:
				w.index++
				w.share = min(w.share+.1, .9)
				w.since = w.now
			}
			w.second()
			l := w.look()
			since = append(since, l)
			if _, err := killed.Look(l); err != nil {
				rt.Fatal(err)
			}
		}
		settle()
		if a, b := encode(t, killed), encode(t, steady); !bytes.Equal(a, b) {
			rt.Fatalf("the one that was killed knows\n%s\nand the other\n%s", a, b)
		}
		for _, c := range w.counts {
			if c.Arm == semper.ArmCandidate {
				served += int64(c.Requests)
			}
		}
		if got := candidates(killed); got != served {
			rt.Fatalf("%d requests of the candidate are counted, of %d", got, served)
		}
	})
}

func encode(t testing.TB, j *judging.Judge) []byte {
	t.Helper()
	b, err := j.Encode()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// An edge that begins anew has a new name: nothing of both lives is lost or counted twice.
func TestEdgeRestarts(t *testing.T) {
	t.Parallel()
	w := newWorld(1, behaviour{errors: .01}, behaviour{errors: .01})
	j := newJudge(t, terms())
	var served int64
	for i := range 30 {
		w.second()
		if _, err := j.Look(w.look()); err != nil {
			t.Fatal(err)
		}
		if i%10 == 9 {
			for _, c := range w.counts {
				if c.Arm == semper.ArmCandidate {
					served += int64(c.Requests)
				}
			}
			w.restart(0)
		}
	}
	if got := candidates(j); got != served {
		t.Errorf("%d requests of the candidate are counted, of %d", got, served)
	}
}

// What cannot be changes nothing, is told, and leaves the rest as it is.
func TestRefusals(t *testing.T) {
	t.Parallel()
	for name, spoil := range map[string]func(l *judging.Look){
		"a counter that went back": func(l *judging.Look) { l.Counts[0].Requests = 1 },
		"latencies of others":      func(l *judging.Look) { l.Counts[0].Latency = []byte{1, 0, 1} },
		"latencies of nothing":     func(l *judging.Look) { l.Counts[0].Latency = []byte("what?") },
		"a clock that went back":   func(l *judging.Look) { l.At = began.Add(-time.Hour) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			same := behaviour{errors: .01, median: time.Millisecond}
			w := newWorld(2, same, same)
			j := newJudge(t, terms())
			run(t, j, w, 20)
			before := candidates(j)
			l := w.look()
			for i := range l.Counts {
				if l.Counts[i].Arm == semper.ArmCandidate {
					l.Counts[0], l.Counts[i] = l.Counts[i], l.Counts[0]
				}
			}
			l.At = l.At.Add(time.Second)
			spoil(&l)
			v, err := j.Look(l)
			if err == nil {
				t.Fatal("it is taken")
			}
			t.Log(err)
			if v.Outcome != semper.Undecided || candidates(j) != before {
				t.Errorf("%s %s, and %d requests count where it was %d", v.Outcome, v.Cause, candidates(j), before)
			}
			run(t, j, w, 70)
			var served int64
			for _, c := range w.counts {
				if c.Arm == semper.ArmCandidate {
					served += int64(c.Requests)
				}
			}
			if got := candidates(j); got != served {
				t.Errorf("afterwards %d of %d requests count", got, served)
			}
		})
	}
}

func TestResumeRefuses(t *testing.T) {
	t.Parallel()
	j := newJudge(t, terms())
	same := behaviour{errors: .01, median: time.Millisecond}
	run(t, j, newWorld(2, same, same), 20)
	good := encode(t, j)
	if _, err := judging.Resume(terms(), good); err != nil {
		t.Fatal(err)
	}
	another := terms()
	another.Judge.Alpha = .05
	if _, err := judging.Resume(another, good); err == nil {
		t.Error("it is resumed by other terms")
	}
	for name, b := range map[string]string{
		"nothing": "", "half": string(good[:len(good)/2]), "version": strings.Replace(string(good), `"version":1`, `"version":9`, 1),
		"evidence": strings.Replace(string(good), `"logs":[`, `"logs":[1,`, 1), "metric": strings.ReplaceAll(string(good), `"errors":{`, `"erors":{`),
		"cursor": strings.Replace(string(good), `"cursors":{`, `"cursors":{"x":null,`, 1),
	} {
		if b == string(good) {
			t.Fatalf("%s: nothing was spoilt in %s", name, good)
		}
		if _, err := judging.Resume(terms(), []byte(b)); err == nil {
			t.Errorf("%s: it is resumed", name)
		}
	}
	var r judging.Record
	if err := json.Unmarshal(good, &r); err != nil {
		t.Fatal(err)
	}
	bad := terms()
	bad.Against = "nobody"
	if _, err := judging.New(bad, began); err == nil {
		t.Error("a baseline of that name is taken")
	}
}

// The series keeps its size, and every request stays in it.
func TestSeries(t *testing.T) {
	t.Parallel()
	same := behaviour{errors: .01}
	w := newWorld(4, same, same)
	w.rate = 50
	j := newJudge(t, terms())
	run(t, j, w, 1000)
	r := j.Record()
	if n := len(r.Series); n < 50 || n > 120 {
		t.Errorf("%d points", n)
	}
	var n int64
	for i, p := range r.Series {
		n += p.Candidate.Requests
		if i > 0 && !p.From.Equal(r.Series[i-1].To) {
			t.Fatalf("point %d begins at %s and the one before ends at %s", i, p.From, r.Series[i-1].To)
		}
	}
	if n != candidates(j) {
		t.Errorf("%d requests in the series, of %d", n, candidates(j))
	}
	if size := len(encode(t, j)); size > 100_000 {
		t.Errorf("the record has %d bytes", size)
	} else {
		t.Logf("the record has %d bytes", size)
	}
}
