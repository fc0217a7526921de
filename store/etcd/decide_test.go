package etcd

import "testing"

func TestDecide(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		room
		want measures
	}{
		"much space":                          {room{free: ease, ballast: true}, measures{}},
		"first start":                         {room{free: ease}, measures{restore: true}},
		"less, but enough":                    {room{free: Floor, ballast: true}, measures{}},
		"below the floor":                     {room{free: Floor - 1, ballast: true}, measures{drop: true, refuse: true}},
		"below, with nothing to drop":         {room{free: Floor - 1}, measures{refuse: true}},
		"below, all done":                     {room{free: 0, refuses: true}, measures{}},
		"above by the ballast alone":          {room{free: Floor + Ballast, refuses: true}, measures{}},
		"space again":                         {room{free: ease, refuses: true}, measures{restore: true, accept: true}},
		"space again, quota reached":          {room{free: ease, refuses: true, full: true}, measures{restore: true}},
		"quota reached":                       {room{free: ease, ballast: true, refuses: true, full: true}, measures{}},
		"restarted, ballast back in place":    {room{free: Floor + Ballast, ballast: true, refuses: true}, measures{accept: true}},
		"between, and never had the ballast":  {room{free: Floor + Ballast}, measures{}},
		"between, ballast, quota":             {room{free: Floor, ballast: true, refuses: true, full: true}, measures{}},
		"below again while refusing, ballast": {room{free: 0, ballast: true, refuses: true}, measures{drop: true}},
	} {
		if got := decide(c.room); got != c.want {
			t.Errorf("%s: %+v, want %+v", name, got, c.want)
		}
	}
}
