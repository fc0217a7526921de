package config

import (
	"encoding/json"
	"strings"
	"testing"

	"semper"
	"semper/edge/route"
)

// TestASplitOfATable leads to the pools that are there, and tells of the others.
func TestASplitOfATable(t *testing.T) {
	t.Parallel()
	table := func(split string, services ...string) semper.Table {
		tab := semper.Table{Epoch: 1, Routes: []semper.Route{{Path: "/", Pool: "shop/production/web", RouteWords: semper.RouteWords{Policy: json.RawMessage(`{"split":` + split + `}`)}}}}
		for _, s := range services {
			tab.Pools = append(tab.Pools, semper.Pool{Key: semper.NamePool("shop", "production", s), App: "shop"})
		}
		return tab
	}
	for _, tc := range []struct {
		table   semper.Table
		want    []route.Share
		problem string
	}{
		{table(`{"web":"90","next":"10"}`, "web", "next"), []route.Share{{Pool: "shop/production/web", Weight: 90}, {Pool: "shop/production/next", Weight: 10}}, ""},
		{table(`{"web":"90","next":"10"}`, "web"), []route.Share{{Pool: "shop/production/web", Weight: 90}}, "pool shop/production/next, which is not there"},
		{table(`{"web":"90","next":"10"}`), nil, "which is not there"},
	} {
		m, problems, err := OfTable(tc.table, nil)
		if err != nil {
			t.Fatal(err)
		}
		var got []route.Share
		if rules := m.Rules(); len(rules) == 1 {
			got = rules[0].Action.(*route.Forward).Pools //nolint:forcetypeassert // else the test fails
		}
		if len(got) != len(tc.want) {
			t.Fatalf("%v, want %v", got, tc.want)
		}
		for i := range got {
			if got[i] != tc.want[i] {
				t.Errorf("%v, want %v", got, tc.want)
			}
		}
		if (problems == nil) != (tc.problem == "") || problems != nil && !strings.Contains(problems.Error(), tc.problem) {
			t.Errorf("told: %v, want %q", problems, tc.problem)
		}
	}
}
