package judging_test

import (
	"testing"
	"time"

	"semper"
)

// TestErrorsThatComeManyAtATime: where the release says that its errors do, one second of them returns nobody, and errors that go on do.
func TestErrorsThatComeManyAtATime(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		bursts  bool
		seconds int // in which half of the candidate's requests fails
		worse   bool
	}{
		"one by one, a second":          {false, 1, true},
		"many at a time, a second":      {true, 1, false},
		"many at a time, again and on":  {true, 120, true},
		"many at a time, and no errors": {true, 0, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			terms := terms()
			terms.Judge.ErrorBursts = c.bursts
			w := newWorld(1, behaviour{errors: .001}, behaviour{errors: .001})
			w.step.For = semper.Duration(time.Hour)
			j := newJudge(t, terms)
			v := run(t, j, w, 10)
			for i := 0; i < 120 && v.Outcome != semper.Worse; i++ {
				if i == 0 && c.seconds > 0 {
					w.releases["r8"] = behaviour{errors: .5}
				}
				if i == c.seconds {
					w.releases["r8"] = behaviour{errors: .001}
				}
				v = run(t, j, w, 1)
			}
			if (v.Outcome == semper.Worse) != c.worse || c.worse && v.Metric != "errors" {
				t.Errorf("%s by %s: %s", v.Outcome, v.Metric, v.Why)
			}
		})
	}
}
