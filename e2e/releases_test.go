package e2e_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"semper"
	"semper/api"
)

// user asks for path as user i, and is which release answers.
func (s *server) user(i int, path string) string {
	s.t.Helper()
	r, err := http.NewRequestWithContext(s.t.Context(), http.MethodGet, "http://"+s.http+path, nil)
	if err != nil {
		s.t.Fatal(err)
	}
	r.AddCookie(&http.Cookie{Name: "uid", Value: fmt.Sprint("u", i)})
	res, err := s.web.Do(r)
	if err != nil {
		s.t.Fatal(err)
	}
	_ = res.Body.Close()
	if res.StatusCode != http.StatusOK {
		s.t.Fatalf("%s of %s", res.Status, res.Header.Get("X-Semper-Release"))
	}
	return res.Header.Get("X-Semper-Release")
}

// sides is which release serves each of n users.
func (s *server) sides(n int) (of []string, count map[string]int) {
	s.t.Helper()
	of, count = make([]string, n), make(map[string]int)
	for i := range of {
		of[i] = s.user(i, "/")
		count[of[i]]++
	}
	return of, count
}

// runs is how many instances of a release are ready in a role.
func (s *server) ready(release semper.ReleaseName, role string) (n int) {
	s.t.Helper()
	for _, in := range s.status().Instances {
		if in.Release == release && in.Role == role && in.State == semper.Ready {
			n++
		}
	}
	return n
}

// TestReleasesAreComparedByTheirUsers: a release beside the current one, with instances of its own, for the users of a variant. Control
// dies while they start and while they serve; nobody deploys meanwhile; the experiment is stopped, and another one's winner is
// promoted. No request fails.
func TestReleasesAreComparedByTheirUsers(t *testing.T) {
	t.Parallel()
	addr := freeAddr(t)
	s := start(t, "--api", addr)
	const declared = `
experiments:
  - name: checkout
    by: cookie:uid
    at_least: 1s
    variants: [{ name: control, share: 0.5 }, { name: green, share: 0.5 }]
    metrics: [{ name: order, kind: conversion, role: primary }]`
	dir := app(t, "v1", "", "    # nothing more"+declared)
	s.must("deploy", "-f", dir, "--until=live")
	s.must("deploy", "-f", app(t, "v2", "", ""), "--until=live")
	s.must("rollback", "--until=live")
	begin := []string{"experiment", "start", "checkout", "-f", filepath.Join(dir, "semper.yaml"), "--release"}
	wants(t, s.cli(append(begin, "green=r7")...), 1, "no release", "r7")
	wants(t, s.cli(append(begin, "gren=r2")...), 1, "no variant", "gren")
	stop := s.load(4)

	asked := make(chan result)
	go func() { asked <- s.cli(append(begin, "green=r2")...) }() // which may be told or not, with control gone in the midst
	eventually(t, "the experiment is stored", func() bool { return s.cli("experiment", "list", "-o", "name").out != "" })
	if pid := s.part("control"); pid > 0 {
		_ = syscall.Kill(pid, syscall.SIGKILL)
	}
	<-asked
	eventually(t, "the experiment runs", func() bool { return s.experiment().State == "running" })
	if n := s.ready("r2", "variant"); n != 1 {
		t.Errorf("%d instances of r2 serve: half of 2", n)
	}
	const users = 600 // a mean takes 200 of a variant
	of, count := s.sides(users)
	if count["r1"] < users/3 || count["r2"] < users/3 || len(count) != 2 {
		t.Fatalf("halves of %d users: %v", users, count)
	}
	third := app(t, "v3", "", "")
	wants(t, s.cli("plan", "-f", third), 6, "checkout")
	wants(t, s.cli("deploy", "-f", third), 6, "checkout", "r2", "r1", "semper experiment stop checkout")
	if err := syscall.Kill(s.part("control"), syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	if again, _ := s.sides(users); strings.Join(again, " ") != strings.Join(of, " ") {
		t.Error("users did not keep their release")
	}
	s.must("experiment", "stop", "checkout")
	if _, count = s.sides(20); count["r1"] != 20 {
		t.Errorf("after the end users have %v", count)
	}
	eventually(t, "what ran for the experiment has ended", func() bool { return s.ready("r2", "variant")+s.ready("r2", "retiring") == 0 })

	s.must(append(begin, "green=r2")...)
	s.decides(addr, users)
	s.must("experiment", "promote", "checkout", "green")
	eventually(t, "the winner is live", func() bool { st := s.status(); return st.Release == "r2" && st.Rollout.State.Live() })
	if _, count = s.sides(20); count["r2"] != 20 {
		t.Errorf("after the promotion users have %v", count)
	}
	total, failures := stop()
	if len(failures) > 0 || total == 0 {
		t.Errorf("%d of %d requests failed: %s", len(failures), total, strings.Join(failures[:min(5, len(failures))], "; "))
	}
	x := s.experiment()
	if st := s.status(); x.State != "promoted" || x.Rollout != st.Rollout.ID || !strings.Contains(st.Rollout.Steps[0].Note, "promotes green of experiment checkout: ") {
		t.Errorf("%s by %s; the rollout %s says %q", x.State, x.Rollout, st.Rollout.ID, st.Rollout.Steps[0].Note)
	}
	if code, body := s.get("/variant"); code != http.StatusOK || strings.TrimSpace(body) != "" {
		t.Errorf("the app is told %q though the experiment is over", body)
	}
}

// flags asks for all flags of a user as an OFREP provider of an SDK that keeps them does: with a context of more than the key, and then
// whether they are still the same.
func (s *server) flags(addr, token string) {
	s.t.Helper()
	ask := func(user, known string) (*http.Response, string) {
		s.t.Helper()
		body := strings.NewReader(`{"context":{"targetingKey":"` + user + `","device":{"os":"android"},"plan":"free"}}`)
		r, err := http.NewRequestWithContext(s.t.Context(), http.MethodPost, "http://"+addr+"/ofrep/v1/evaluate/flags", body)
		if err != nil {
			s.t.Fatal(err)
		}
		r.Header.Set("Authorization", "Bearer "+token)
		r.Header.Set("Content-Type", "application/json; charset=utf-8")
		if known != "" {
			r.Header.Set("If-None-Match", known)
		}
		res, err := s.web.Do(r)
		if err != nil {
			s.t.Fatal(err)
		}
		defer res.Body.Close()
		b, err := io.ReadAll(res.Body)
		if err != nil {
			s.t.Fatal(err)
		}
		return res, string(b)
	}
	for i := range 6 {
		user := fmt.Sprint("u", i)
		var res *http.Response
		eventually(s.t, "the flag of "+user+" is that of the release that serves", func() bool { // the lab and the edges learn of a run each in its own time
			var all struct{ Flags []api.Evaluation }
			var body string
			res, body = ask(user, "")
			if err := json.Unmarshal([]byte(body), &all); err != nil || res.StatusCode != http.StatusOK || len(all.Flags) != 1 {
				s.t.Fatalf("%s: %s %v", res.Status, body, err)
			}
			want := map[string]string{"r1": "control", "r2": "green"}[s.user(i, "/")]
			f := all.Flags[0]
			return f.Key == "checkout" && f.Value == want && f.Variant == want && f.Reason == "SPLIT"
		})
		if again, _ := ask(user, res.Header.Get("ETag")); again.StatusCode != http.StatusNotModified {
			s.t.Errorf("the same flags again: %s", again.Status)
		}
	}
	if res, body := ask("", ""); res.StatusCode != http.StatusBadRequest || !strings.Contains(body, "TARGETING_KEY_MISSING") {
		s.t.Errorf("nobody's flags: %s %s", res.Status, body)
	}
}

// decides has users buy more on r2, until the experiment says so.
func (s *server) decides(addr string, users int) {
	s.t.Helper()
	token := strings.TrimSpace(s.must("experiment", "token", "-a", "bar"))
	s.flags(addr, token)
	of, _ := s.sides(users)
	var b api.MetricBatch
	for i, release := range of {
		if i%10 < 2 || release == "r2" && i%10 < 6 { // 20 of 100, and 60
			b.Values = append(b.Values, api.MetricValue{ID: fmt.Sprint("order-", i), Metric: "order", TargetingKey: fmt.Sprint("u", i)})
		}
	}
	var answer api.MetricAnswer
	if code := s.asApp(addr, token, "/v1/experiments/metrics", b, &answer); code != http.StatusOK || answer.Taken != len(b.Values) {
		s.t.Fatalf("%d: %+v, of %d", code, answer, len(b.Values))
	}
	eventually(s.t, "a decision", func() bool { return s.experiment().State == "decided" })
	if x := s.experiment(); x.Winner != "green" || x.Against != "r1" {
		s.t.Errorf("%s against %s by %q", x.Winner, x.Against, x.Why)
	}
}
