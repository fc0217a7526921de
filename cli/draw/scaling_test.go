package draw

import (
	"strings"
	"testing"
	"time"

	"semper"
	"semper/api"
)

// TestWhatFollowsTheLoadSaysWhy in the status: how many, of how many, and what it waits for.
func TestWhatFollowsTheLoadSaysWhy(t *testing.T) {
	t.Parallel()
	ready := []api.Instance{{ID: "shop/web.r1.1", Service: "web", Release: "r1", Role: "current", State: semper.Ready}}
	for _, c := range []struct {
		now       int
		instances []api.Instance
		s         api.Scaling
		want      string
	}{
		{3, ready, api.Scaling{Why: "61 requests of 20 each"}, "↕ auto  web: 3 of 0 to 9: 61 requests of 20 each"},
		{0, nil, api.Scaling{Why: "nothing to do"}, "☾ asleep  web: a request or a job wakes it"},
		{1, nil, api.Scaling{Why: "1 request of 20 each"}, "↕ wakes  web: 1 of 0 to 9; none is ready yet"},
		{4, ready, api.Scaling{ByHand: true}, "↕ by hand  web: 4 until the next deploy; semper scale web=auto -a shop"},
	} {
		c.s.Service, c.s.Min, c.s.Max = "web", 0, 9
		st := api.Status{App: "shop", Environment: semper.DefaultEnvironment, Release: "r1", Scale: map[string]int{"web": c.now}, Scaling: []api.Scaling{c.s}, Instances: c.instances}
		if got := strings.Join(Status(st, false, time.Now()), "\n"); !strings.Contains(got, c.want) {
			t.Errorf("%+v:\n%s\nwant %s", c.s, got, c.want)
		}
	}
}
