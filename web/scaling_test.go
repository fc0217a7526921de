package web

import (
	"testing"

	"semper"
	"semper/api"
)

// TestASleepingAppIsNotDown: no instance is ready, and that is as it should be.
func TestASleepingAppIsNotDown(t *testing.T) {
	t.Parallel()
	of := func(now int, state semper.InstanceState, s api.Scaling) api.Status {
		s.Service, s.Max, s.Why = "web", 9, "61 requests of 20 each"
		st := api.Status{App: "shop", Release: "r1", Scale: map[string]int{"web": now}, Scaling: []api.Scaling{s}}
		for range now {
			st.Instances = append(st.Instances, api.Instance{Service: "web", Release: "r1", Role: "current", State: state})
		}
		return st
	}
	for _, c := range []struct {
		st           api.Status
		health, line string
		says         string
	}{
		{of(0, "", api.Scaling{}), "asleep", "asleep", "0 of 0 to 9"},
		{of(1, semper.Starting, api.Scaling{}), "waking", "waking", "1 of 0 to 9"},
		{of(2, semper.Ready, api.Scaling{}), "serving", "auto", "2 of 0 to 9"},
		{of(1, semper.Starting, api.Scaling{Min: 1}), "down", "auto", "1 of 1 to 9"},
		{of(0, "", api.Scaling{ByHand: true}), "serving", "by hand", "0"},
	} {
		if h, l := healthOf(c.st), scaled(c.st); h.Word != c.health || len(l) != 1 || l[0].Mark.Word != c.line || l[0].Says != c.says || l[0].Why == "" {
			t.Errorf("%+v: %v, %+v", c.st.Scaling, h, l)
		}
	}
}
