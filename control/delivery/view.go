package delivery

import (
	"fmt"
	"slices"

	"semper"
	"semper/api"
	"semper/pipeline"
)

// Pipelines are those of all apps, or of one, with the release of each environment and how far webhooks are with events.
func (v *View) Pipelines(app string, serving func(semper.EnvironmentKey) semper.ReleaseName, events []semper.Event) ([]api.PipelineStatus, error) {
	out := []api.PipelineStatus{}
	for _, p := range v.records.Policies() {
		if app != "" && p.App != app {
			continue
		}
		s := api.PipelineStatus{
			Pipeline: p, Stopped: v.records.Stopped(p.App), Serving: map[string]semper.ReleaseName{}, Runs: []api.RunStatus{}, Webhooks: v.webhooks(p, events),
		}
		for _, st := range p.Stages {
			if r := serving(semper.Environment{App: p.App, Name: st.Environment}.Key()); r != "" {
				s.Serving[st.Environment] = r
			}
		}
		for _, r := range v.records.Runs(p.App) {
			rs := api.RunStatus{Run: r, Waiting: v.pending[r.ID]}
			if _, of, ok := pipeline.Asks(r); ok {
				rs.Asks = of
			}
			s.Runs = append(s.Runs, rs)
		}
		out = append(out, s)
	}
	if app != "" && len(out) == 0 {
		return nil, &semper.Error{Code: semper.NotFound, Op: "pipeline", Message: fmt.Sprintf("%s has no pipeline", app), Hint: "name its environments in semper.yaml, and: semper pipeline run"}
	}
	return out, nil
}

// Attestations are the statements about a release, the oldest first, with what checking them has come to.
func (v *View) Attestations(rel semper.Release) []api.Attestation {
	out := []api.Attestation{}
	about := pipeline.SubjectOf(rel)
	for _, s := range v.records.Statements(rel.App, about) {
		p := s.Proof
		a := api.Attestation{
			Name: s.Name, Release: p.Release, Environment: p.Environment, Gate: p.Gate, Kind: p.Kind, At: p.At, By: p.By, Why: p.Why,
			Expires: p.Expires, Run: p.Run, Key: p.Key, Envelope: s.Envelope,
		}
		switch {
		case s.Err != nil:
			a.Invalid = s.Err.Error()
		case p.About != about || p.App != rel.App:
			a.Invalid = "it is about another release"
		}
		out = append(out, a)
	}
	slices.SortStableFunc(out, func(a, b api.Attestation) int { return a.At.Compare(b.At) })
	return out
}
