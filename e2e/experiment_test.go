package e2e_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"semper/api"
)

// A shopper is a user of the app, as the edge had the app know it.
type shopper struct{ id, variant, key string }

// visits is what the app is told of n users, and each once more, of whom some claim a variant of their own.
func (s *server) visits(n int) []shopper {
	s.t.Helper()
	out := make([]shopper, 2*n)
	for i := range out {
		r, err := http.NewRequestWithContext(s.t.Context(), http.MethodGet, "http://"+s.http+"/variant", nil)
		if err != nil {
			s.t.Fatal(err)
		}
		out[i].id = fmt.Sprint("u", i%n)
		r.AddCookie(&http.Cookie{Name: "uid", Value: out[i].id})
		if i%5 == 0 {
			r.Header.Set("Semper-Variant", "checkout=mine")
		}
		res, err := s.web.Do(r)
		if err != nil {
			s.t.Fatal(err)
		}
		b, err := io.ReadAll(res.Body)
		_ = res.Body.Close()
		if err != nil || res.StatusCode != http.StatusOK {
			s.t.Fatal(res.Status, err)
		}
		variant, key, _ := strings.Cut(string(b), " ")
		out[i].variant, out[i].key = strings.TrimPrefix(variant, "checkout="), strings.TrimPrefix(key, "checkout=")
	}
	return out
}

// asApp asks the API over TCP with the app's own token, as an app does. It is 0 while nobody answers.
func (s *server) asApp(addr, token, path string, body any, into any) int {
	s.t.Helper()
	b, err := json.Marshal(body)
	if err != nil {
		s.t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(s.t.Context(), time.Minute)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+addr+path, bytes.NewReader(b))
	if err != nil {
		s.t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+token)
	res, err := s.web.Do(r)
	if err != nil {
		return 0 // control is away
	}
	defer res.Body.Close()
	if err := json.NewDecoder(res.Body).Decode(into); err != nil {
		return 0
	}
	return res.StatusCode
}

func (s *server) experiment() api.ExperimentInfo {
	s.t.Helper()
	list := asked(s, func(ctx context.Context, c *api.Client) ([]api.ExperimentInfo, error) {
		return c.Experiments(ctx, "", "")
	})
	if len(list) != 1 {
		s.t.Fatalf("%d experiments", len(list))
	}
	return list[0]
}

// TestAnExperiment goes from its start to its end: users, what they do, a control process that dies on the way, a decision, and the winner.
func TestAnExperiment(t *testing.T) {
	t.Parallel()
	addr := freeAddr(t)
	s := start(t, "--api", addr)
	const declared = `
experiments:
  - name: checkout
    by: cookie:uid
    at_least: 1s
    variants: [{ name: control, share: 0.5 }, { name: green, share: 0.5 }]
    metrics: [{ name: order, kind: conversion, role: primary }, { name: refund, role: guardrail, less_is_better: true }]`
	dir := app(t, "v1", "", "    # nothing more"+declared)
	s.must("deploy", "-f", dir, "--until=live")
	if list := s.must("experiment", "list", "-o", "name"); strings.TrimSpace(list) != "" {
		t.Fatalf("the deploy began %s", list)
	}
	s.must("experiment", "start", "checkout", "-f", filepath.Join(dir, "semper.yaml"))
	token := strings.TrimSpace(s.must("experiment", "token", "-a", "bar"))

	const users = 600 // a mean takes 200 of a variant
	all := s.visits(users)
	var batch api.MetricBatch
	bought := 0
	for i, u := range all[:users] {
		if again := all[i+users]; u != again || u.key == "" || u.variant != "control" && u.variant != "green" {
			t.Fatalf("%+v was %+v at first", again, u)
		}
		if i%10 < 2 || u.variant == "green" && i%10 < 6 { // 20 of 100, and 60
			bought++
			batch.Values = append(batch.Values, api.MetricValue{ID: "order-" + u.id, Metric: "order", Experiment: "checkout", Key: u.key})
		}
	}
	less := -3.0
	batch.Values = append(batch.Values, api.MetricValue{ID: "bad", Metric: "order", TargetingKey: "u1", Value: &less}, api.MetricValue{ID: "odd", Metric: "oder", TargetingKey: "u1"})
	var answer api.MetricAnswer
	if code := s.asApp(addr, token, "/v1/experiments/metrics", batch, &answer); code != http.StatusOK || answer.Taken != bought || len(answer.Errors) != 2 || answer.Errors[0].Index != bought {
		t.Fatalf("%d: %+v, of %d", code, answer, bought)
	}
	if err := syscall.Kill(s.part("control"), syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	eventually(t, "another control has what was taken", func() bool {
		answer = api.MetricAnswer{}
		return s.asApp(addr, token, "/v1/experiments/metrics", batch, &answer) == http.StatusOK
	})
	if answer.Taken != 0 || answer.Known != bought {
		t.Errorf("pushed again: %+v, of %d", answer, bought)
	}

	var x api.ExperimentInfo
	eventually(t, "a decision", func() bool { x = s.experiment(); return x.State == "decided" })
	r := x.Report
	if told := printed[api.ExperimentInfo](s, "experiment", "status", "checkout"); told.State != x.State || told.Winner != x.Winner || told.Why != x.Why {
		t.Errorf("experiment status tells %s, %s by %q", told.State, told.Winner, told.Why)
	}
	if x.Winner != "green" || r.Outcome != "won" || r.Mismatch <= 0 || r.Mismatch >= 1000 || len(r.Silent) != 1 {
		t.Errorf("%s by %q; %+v", x.Winner, x.Why, r)
	}
	if n := r.Variants[0].Users + r.Variants[1].Users; n != users {
		t.Errorf("%d users were exposed, of %d", n, users)
	}

	var flag api.Evaluation
	if s.asApp(addr, token, "/ofrep/v1/evaluate/flags/checkout", map[string]any{"context": map[string]any{"targetingKey": all[0].id}}, &flag); flag.Variant != all[0].variant {
		t.Errorf("the flag is %+v, and requests had %s", flag, all[0].variant)
	}
	s.must("experiment", "promote", "checkout", "green")
	for _, u := range s.visits(20) {
		if u.variant != "green" {
			t.Fatalf("after the promotion %+v", u)
		}
	}
	s.must("experiment", "stop", "checkout")
	if u := s.visits(1)[0]; u.variant != "" {
		t.Errorf("after the end %+v", u)
	}
	if told := s.must("events", "-a", "bar"); !strings.Contains(told, "experiment.decided") || !strings.Contains(told, "experiment.promoted") {
		t.Error(told)
	}
}
