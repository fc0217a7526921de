package quiesce_test

import (
	"encoding/json"
	"testing"

	"semper"
	"semper/rollout/quiesce"
)

func TestTermsAreKept(t *testing.T) {
	t.Parallel()
	signal, look, path := quiesce.Way{Signal: "SIGTSTP"}, quiesce.Way{Exec: []string{"./busy"}}, quiesce.Way{HTTP: "/busy"}
	for name, tc := range map[string]struct {
		terms     quiesce.Terms
		listens   bool
		faults    int
		succeeded bool // of a look
		drains    bool
	}{
		"busy":            {quiesce.Terms{Tell: signal, Busy: look}, false, 0, true, false},
		"no more busy":    {quiesce.Terms{Tell: signal, Busy: look}, false, 0, false, true},
		"drained":         {quiesce.Terms{Tell: signal, Drained: look}, false, 0, true, true},
		"not drained yet": {quiesce.Terms{Tell: signal, Drained: path}, true, 0, false, false},
		"both":            {quiesce.Terms{Tell: signal, Busy: look, Drained: look}, false, 1, true, true},
		"no look":         {quiesce.Terms{Tell: signal}, false, 1, false, true},
		"nobody listens":  {quiesce.Terms{Tell: signal, Busy: path}, false, 1, true, false},
		"no path":         {quiesce.Terms{Tell: quiesce.Way{HTTP: "x"}, Busy: look}, true, 1, true, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := tc.terms.Check(tc.listens); len(got) != tc.faults {
				t.Errorf("faults: %+v", got)
			}
			if tc.terms.Drains(tc.succeeded) != tc.drains {
				t.Errorf("a look that succeeded %t says that it is drained: %t", tc.succeeded, !tc.drains)
			}
			b, err := json.Marshal(tc.terms)
			if err != nil {
				t.Fatal(err)
			}
			if got, ok := quiesce.Read(semper.Service{Quiesce: b}); !ok || got.Tell.String() != tc.terms.Tell.String() || got.Look().String() != tc.terms.Look().String() {
				t.Errorf("%+v reads as %+v", tc.terms, got)
			}
		})
	}
	if _, ok := quiesce.Read(semper.Service{}); ok {
		t.Error("a service that says nothing has terms")
	}
}
