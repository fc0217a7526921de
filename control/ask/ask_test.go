package ask_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"semper"
	"semper/control/ask"
	"semper/rollout/quiesce"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// keeper ends commands with a code, and remembers signals.
type keeper struct {
	code    int
	err     error
	signals []string
}

func (k *keeper) Exec(context.Context, semper.InstanceID, []string, time.Duration) (int, string, error) {
	return k.code, "first\nlast\n", k.err
}

func (k *keeper) Signal(_ context.Context, _ semper.InstanceID, name string) error {
	k.signals = append(k.signals, name)
	return nil
}

func TestWorkersAreToldAndAsked(t *testing.T) {
	t.Parallel()
	var told string
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		told = r.Method + " " + r.URL.Path
		if r.URL.Path == "/idle" {
			w.WriteHeader(http.StatusNotFound)
		}
	}))
	defer s.Close()
	in := semper.InstanceStatus{Address: strings.TrimPrefix(s.URL, "http://")}
	k := &keeper{}
	if err := ask.Quiesce(t.Context(), k, in, quiesce.Way{Signal: "SIGTSTP"}); err != nil || len(k.signals) != 1 {
		t.Errorf("%v %v", k.signals, err)
	}
	if err := ask.Quiesce(t.Context(), k, in, quiesce.Way{HTTP: "/quiesce"}); err != nil || told != "POST /quiesce" {
		t.Errorf("%q %v", told, err)
	}
	for name, tc := range map[string]struct {
		code    int
		err     error
		terms   quiesce.Terms
		drained bool
		unknown bool
	}{
		"a command says busy":      {0, nil, quiesce.Terms{Busy: quiesce.Way{Exec: []string{"x"}}}, false, false},
		"a command says not busy":  {1, nil, quiesce.Terms{Busy: quiesce.Way{Exec: []string{"x"}}}, true, false},
		"a command cannot be run":  {0, errors.New("no such file"), quiesce.Terms{Busy: quiesce.Way{Exec: []string{"x"}}}, false, true},
		"a path says busy":         {0, nil, quiesce.Terms{Busy: quiesce.Way{HTTP: "/busy"}}, false, false},
		"a path says not busy":     {0, nil, quiesce.Terms{Busy: quiesce.Way{HTTP: "/idle"}}, true, false},
		"a path says drained":      {0, nil, quiesce.Terms{Drained: quiesce.Way{HTTP: "/drained"}}, true, false},
		"a path says not drained":  {0, nil, quiesce.Terms{Drained: quiesce.Way{HTTP: "/idle"}}, false, false},
		"a command says drained":   {0, nil, quiesce.Terms{Drained: quiesce.Way{Exec: []string{"x"}}}, true, false},
		"a command says it is not": {3, nil, quiesce.Terms{Drained: quiesce.Way{Exec: []string{"x"}}}, false, false},
	} {
		drained, err := ask.Drained(t.Context(), &keeper{code: tc.code, err: tc.err}, in, tc.terms)
		if drained != tc.drained || err != nil != tc.unknown {
			t.Errorf("%s: drained %t, %v", name, drained, err)
		}
	}
	err := ask.Exec(t.Context(), &keeper{code: 3}, "a", []string{"x"}, time.Second)
	if err == nil || !strings.Contains(err.Error(), "exit code 3: last") {
		t.Errorf("%v", err)
	}
}
