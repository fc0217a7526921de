package rollout_test

import (
	"encoding/json"
	"testing"

	"semper"
	"semper/rollout"
)

// TestFilesAreTheCurrentReleases: a route that answers with files has them of the release that is live, and in the same table as
// the pools change.
func TestFilesAreTheCurrentReleases(t *testing.T) {
	t.Parallel()
	words := semper.RouteWords{Answer: json.RawMessage(`{"files":"public"}`)}
	site := rollout.Site{
		Env:      semper.Environment{App: "app", Name: "production"},
		Releases: map[semper.ReleaseName]semper.Release{},
	}
	for name, artifact := range map[semper.ReleaseName]semper.Digest{"r1": "sha256:1", "r2": "sha256:2"} {
		site.Releases[name] = semper.Release{Artifact: artifact, Spec: semper.Spec{App: "app", Routes: []semper.RouteRule{
			{Path: "/", Files: true, RouteWords: words}, {Path: "/old", RouteWords: semper.RouteWords{Answer: json.RawMessage(`{"redirect":"/"}`)}},
		}}}
	}
	var before semper.Table
	for _, name := range []semper.ReleaseName{"r1", "r2", "r1"} {
		site.Env.Current = &semper.Placement{Release: name}
		tab := rollout.Routes([]rollout.Site{site}, nil)
		if len(tab.Rules) != 2 || tab.Rules[0].Artifact != site.Releases[name].Artifact || tab.Rules[1].Artifact != "" {
			t.Errorf("%s: %+v", name, tab.Rules)
		}
		if rollout.SameRoutes(before, tab) {
			t.Errorf("%s: an edge would not be told", name)
		}
		before = tab
	}
}
