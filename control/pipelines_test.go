package control_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"semper"
	"semper/api"
	"semper/control"
	"semper/pipeline/course"
	"semper/store"
)

// gated is a release on its way through beta to production.
func gated(version string) api.DeployRequest {
	r := request(version)
	r.Spec.Environments = map[string]semper.Overlay{"beta": {Hosts: map[string]string{"*": "beta.example.com"}, Scale: map[string]int{"web": 1}}}
	r.Pipeline = &semper.Pipeline{Stages: []semper.Stage{
		{Environment: "beta", Gates: []semper.Gate{
			{Kind: semper.GateCommand, Command: []string{"./smoke"}},
			{Kind: semper.GateHTTP, URL: "http://beta.example.com/ready"},
		}},
		{Environment: "production", Gates: []semper.Gate{
			{Kind: semper.GateSoak, For: semper.Duration(30 * time.Minute)},
			{Kind: semper.GateApproval, Approvers: []string{"ops"}, Expires: semper.Duration(24 * time.Hour)},
			{Kind: semper.GateCommand, Name: "check", Command: []string{"./check"}},
		}},
	}}
	return r
}

func as(t *testing.T, name string, role api.Role, groups ...string) context.Context {
	t.Helper()
	return api.WithCaller(t.Context(), api.Caller{Name: name, Role: role, Groups: groups})
}

// until waits for what a run is to be, a step of the clock at a time.
func until(t *testing.T, c *control.Control, what string, ok func(api.RunStatus) bool) api.RunStatus {
	t.Helper()
	var r api.RunStatus
	for range 200 {
		time.Sleep(30 * time.Second)
		synctest.Wait()
		p, err := c.Pipelines(t.Context(), "bar")
		if err != nil {
			t.Fatal(err)
		}
		if len(p[0].Runs) > 0 {
			if r = p[0].Runs[0]; ok(r) {
				return r
			}
		}
	}
	b, err := json.MarshalIndent(r, "", " ")
	t.Fatalf("never %s: %s %v", what, b, err)
	return r
}

func asks(r api.RunStatus) bool  { return len(r.Asks) > 0 }
func ended(r api.RunStatus) bool { return r.State != course.Running }

func kinds(t *testing.T, c *control.Control, prefix string) []string {
	t.Helper()
	ch, err := c.Events(t.Context(), "", 0, false)
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for e := range ch {
		if strings.HasPrefix(e.Kind, prefix) {
			out = append(out, e.Kind)
		}
	}
	return out
}

func TestTheWayToProduction(t *testing.T) {
	in(t, func(t *testing.T, m *machine, c *control.Control) {
		dev, olga := as(t, "dev", api.Deployer), as(t, "olga", api.Deployer, "ops")
		if _, err := c.StartRun(dev, gated("one")); err != nil {
			t.Fatal(err)
		}
		r := until(t, c, "asking", asks)
		if !slices.Equal(r.Asks, []string{"ops"}) || r.Stages[0].State != course.StagePassed || r.Stages[1].State != course.StageBefore {
			t.Fatalf("asks %v in %+v", r.Asks, r.Stages)
		}
		if r.Stages[1].Gates[0].EndedAt.Sub(r.Stages[0].LiveAt) < 30*time.Minute {
			t.Errorf("soaked from %s to %s", r.Stages[0].LiveAt, r.Stages[1].Gates[0].EndedAt)
		}
		s, err := c.Status(t.Context(), "bar", "beta")
		if err != nil || s.Release != "r1" || s.Scale["web"] != 1 || s.Routes[0].Host != "beta.example.com" {
			t.Errorf("beta has %s, scale %v, routes %v: %v", s.Release, s.Scale, s.Routes, err)
		}
		if _, err := c.Approve(as(t, "mallory", api.Deployer), "bar", "", "me too"); semper.CodeOf(err) != semper.Forbidden || !strings.Contains(err.Error(), "mallory") {
			t.Errorf("mallory: %v", err)
		}
		if got := kinds(t, c, "pipeline.refused"); len(got) != 1 {
			t.Errorf("the refusal is %d times on record", len(got))
		}
		if _, err := c.Approve(olga, "bar", "", "looks good"); err != nil {
			t.Fatal(err)
		}
		if r = until(t, c, "ended", ended); r.State != course.Passed {
			t.Fatalf("%s: %s", r.State, r.Reason)
		}
		if s := current(t, c); s.Environment != "production" || s.Release != "r1" || s.Scale["web"] != 2 {
			t.Errorf("production has %s, scale %v", s.Release, s.Scale)
		}
		list, err := c.Attestations(t.Context(), "bar", "r1")
		if err != nil {
			t.Fatal(err)
		}
		var names []string
		for _, a := range list { // some are of one instant
			names = append(names, a.Environment+"/"+a.Gate)
			if a.Invalid != "" || a.Gate == "approval" && (a.By != "olga" || a.Why != "looks good" || !a.Expires.Equal(a.At.Add(24*time.Hour))) {
				t.Errorf("statement %+v", a)
			}
		}
		slices.Sort(names)
		if want := []string{"beta/http", "beta/tests", "production/approval", "production/check", "production/soak"}; !slices.Equal(names, want) {
			t.Errorf("statements %v, want %v", names, want)
		}
	})
}

// No door leads around the gates.
func TestProductionRefuses(t *testing.T) {
	in(t, func(t *testing.T, m *machine, c *control.Control) {
		dev, admin := as(t, "dev", api.Deployer), as(t, "root", api.Admin)
		refused := func(what string, err error, code semper.Code, words ...string) {
			t.Helper()
			if semper.CodeOf(err) != code {
				t.Errorf("%s: %v (%s), want %s", what, err, semper.CodeOf(err), code)
				return
			}
			for _, w := range words {
				if !strings.Contains(err.Error()+semper.HintOf(err), w) {
					t.Errorf("%s: %v, hint %q: %q is missing", what, err, semper.HintOf(err), w)
				}
			}
		}
		r := gated("one")
		_, err := c.Deploy(dev, r)
		refused("a deploy to production", err, semper.Forbidden, "beta/tests", "beta/http", "production/soak", "production/approval", "semper pipeline run")
		if _, err := c.Status(t.Context(), "bar", ""); semper.CodeOf(err) != semper.NotFound {
			t.Errorf("production is there: %v", err)
		}
		planned := func(who context.Context, q api.DeployRequest, err error) {
			t.Helper()
			p, wrong := c.Plan(who, q)
			if wrong != nil {
				t.Fatal(wrong)
			}
			if err == nil && p.Refused+p.Instead != "" || err != nil && (!strings.HasSuffix(err.Error(), p.Refused) || p.Refused == "" || p.Instead != semper.HintOf(err)) {
				t.Errorf("the plan says %q, instead %q, and the deploy %v", p.Refused, p.Instead, err)
			}
		}
		planned(dev, r, err)   // of the file's own gates, which nothing has put in force yet
		r.Environment = "beta" // which asks for nothing; and the pipeline is in force from now on
		if _, err := c.Deploy(dev, r); err != nil {
			t.Fatal(err)
		}
		r.Environment = ""
		bare := r
		bare.Pipeline = nil
		_, err = c.Deploy(dev, bare)
		refused("a file that says nothing of gates", err, semper.Forbidden, "beta/tests")
		planned(dev, bare, err)
		weak := gated("one")
		weak.Pipeline.Stages[1].Requires = []string{}
		_, err = c.Deploy(dev, weak)
		refused("a file that requires nothing", err, semper.Forbidden, "not the one in force")
		planned(dev, weak, err)
		planned(admin, weak, nil)
		hot := r
		hot.Hotfix = "it is on fire"
		_, err = c.Deploy(dev, hot)
		refused("a deployer's hotfix", err, semper.Forbidden, "no admin")
		planned(dev, hot, err)
		planned(admin, hot, nil)
		_, err = c.Rollback(dev, "bar", "production", "r1", "dev")
		refused("a rollback to nothing", err, semper.NotFound)
		if _, err := c.Deploy(admin, hot); err != nil {
			t.Fatalf("an admin's hotfix: %v", err)
		}
		if got := kinds(t, c, "pipeline.hotfix"); len(got) != 1 {
			t.Errorf("the hotfix is %d times on record", len(got))
		}
		time.Sleep(10 * time.Minute)
		synctest.Wait()
		second := gated("two")
		second.Environment = "beta"
		if _, err := c.Deploy(dev, second); err != nil {
			t.Fatal(err)
		}
		_, err = c.Rollback(dev, "bar", "production", "r2", "dev")
		refused("a rollback to what never served", err, semper.Forbidden, "beta/tests")
		if _, err := c.SetLine(dev, "bar", true, "an incident"); err != nil {
			t.Fatal(err)
		}
		_, err = c.Deploy(admin, gated("two"))
		refused("a deploy with the line stopped", err, semper.Conflict, "an incident", "semper pipeline resume")
		planned(dev, gated("two"), err)
	})
}

// A statement that nobody trusted has signed does not count, whoever put it into the store.
func TestForgedStatements(t *testing.T) {
	in(t, func(t *testing.T, m *machine, c *control.Control) {
		dev := as(t, "dev", api.Deployer)
		if _, err := c.StartRun(dev, gated("one")); err != nil {
			t.Fatal(err)
		}
		until(t, c, "asking", asks)
		items, _, err := m.store.List(t.Context(), "attestation/")
		if err != nil || len(items) == 0 {
			t.Fatalf("%d statements: %v", len(items), err)
		}
		var forged semper.Txn
		for _, it := range items {
			b := []byte(strings.Replace(string(it.Value), `"sig":"`, `"sig":"AA`, 1))
			forged.Then = append(forged.Then, semper.Write{Key: it.Key, Value: b})
		}
		fence, err := m.store.Get(t.Context(), store.LeadKey("control"))
		if err != nil {
			t.Fatal(err)
		}
		forged.Then = append(forged.Then, semper.Write{Key: fence.Key, Delete: true}) // and somebody else leads, who reads everything anew
		if _, err := m.store.Commit(t.Context(), forged); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		list, err := c.Attestations(t.Context(), "bar", "r1")
		if err != nil || len(list) != len(items) || slices.ContainsFunc(list, func(a api.Attestation) bool { return a.Invalid == "" }) {
			t.Fatalf("%+v: %v", list, err)
		}
		if _, err := c.Approve(as(t, "olga", api.Deployer, "ops"), "", "", ""); err != nil {
			t.Fatal(err)
		}
		if r := until(t, c, "ended", ended); r.State != course.Failed || !strings.Contains(r.Reason, "beta/tests") {
			t.Errorf("%s: %s", r.State, r.Reason)
		}
		if _, err := c.Status(t.Context(), "bar", ""); semper.CodeOf(err) != semper.NotFound {
			t.Errorf("production is there: %v", err)
		}
	})
}

func TestGatesThatFail(t *testing.T) {
	in(t, func(t *testing.T, m *machine, c *control.Control) {
		m.gates = map[string]int{"./smoke": 3}
		dev := as(t, "dev", api.Deployer)
		if _, err := c.StartRun(dev, gated("one")); err != nil {
			t.Fatal(err)
		}
		r := until(t, c, "ended", ended)
		if g := r.Stages[0].Gates[0]; r.State != course.Failed || g.Exit != 3 || len(g.Tail) == 0 || !strings.Contains(r.Reason, "exit code 3") {
			t.Fatalf("%s: %s, %+v", r.State, r.Reason, g)
		}
		if l, err := c.Crashes(t.Context(), "bar"); err != nil || len(l) > 0 || len(kinds(t, c, "crash")) > 0 {
			t.Errorf("a test that says no is no crash: %v, %v", l, err)
		}
		m.mu.Lock()
		if len(m.acked) != 1 {
			t.Errorf("the keeper keeps its report: acknowledged %v", m.acked)
		}
		m.gates = nil
		m.mu.Unlock()
		if _, err := c.Rerun(dev, "bar", ""); err != nil {
			t.Fatal(err)
		}
		if r = until(t, c, "asking", asks); r.Stages[0].Gates[0].Attempt != 2 {
			t.Errorf("gate %+v", r.Stages[0].Gates[0])
		}
		if _, err := c.Reject(dev, "bar", "", "not today"); err != nil {
			t.Fatal(err)
		}
		if r = until(t, c, "ended", ended); r.State != course.Rejected || !strings.Contains(r.Reason, "not today") {
			t.Errorf("%s: %s", r.State, r.Reason)
		}
		if _, err := c.Approve(as(t, "olga", api.Deployer, "ops"), "bar", r.ID, ""); semper.CodeOf(err) != semper.Conflict {
			t.Errorf("a yes to what was rejected: %v", err)
		}
	})
}

// TestRunOutlivesControl kills the control process at every commit of a run: before it, and after it, with nobody told. The next one goes on, no command runs
// twice and no statement is lost.
func TestRunOutlivesControl(t *testing.T) {
	t.Parallel()
	for deaths := 1; ; deaths += 3 {
		finished := false
		synctest.Test(t, func(t *testing.T) {
			m := newMachine(t)
			defer m.follow()()
			mortal := &mortalStore{Store: m.store, left: deaths}
			c, stop := m.run(mortal)
			if _, err := c.StartRun(as(t, "dev", api.Deployer), gated("one")); err != nil && !errors.Is(err, context.Canceled) && !mortal.dead() {
				t.Fatal(err)
			}
			approved := false
			for range 200 {
				time.Sleep(15 * time.Second)
				if synctest.Wait(); mortal.dead() {
					break // and it dies before its rollout has missed a deadline
				}
				if p, err := c.Pipelines(t.Context(), ""); err == nil && len(p) > 0 && len(p[0].Runs) > 0 && asks(p[0].Runs[0]) && !approved {
					_, err := c.Approve(as(t, "olga", api.Deployer, "ops"), "bar", "", "fine")
					approved = err == nil
				}
			}
			finished = !mortal.dead()
			stop()
			c, stop = m.run(m.store)
			defer stop()
			synctest.Wait()
			time.Sleep(2 * time.Second)
			p, err := c.Pipelines(t.Context(), "")
			if err != nil {
				t.Fatal(err)
			}
			if len(p) == 0 || len(p[0].Runs) == 0 { // it died before it had stored the run
				return
			}
			if r := until(t, c, "asking or ended", func(r api.RunStatus) bool { return asks(r) || ended(r) }); asks(r) {
				if _, err := c.Approve(as(t, "olga", api.Deployer, "ops"), "bar", "", "fine"); err != nil {
					t.Fatal(err)
				}
			}
			if r := until(t, c, "ended", ended); r.State != course.Passed {
				t.Fatalf("killed at commit %d: %s: %s", deaths, r.State, r.Reason)
			}
			for id, n := range m.started {
				if strings.Contains(string(id), "/gate-") && n != 1 {
					t.Errorf("killed at commit %d: %s ran %d times", deaths, id, n)
				}
			}
			if list, err := c.Attestations(t.Context(), "bar", "r1"); err != nil || len(list) != 5 {
				t.Errorf("killed at commit %d: %d statements: %v", deaths, len(list), err)
			}
		})
		if finished || t.Failed() {
			if deaths < 10 {
				t.Errorf("only %d commits: the test does not kill much", deaths)
			}
			return
		}
	}
}

// A key that is rotated has signed well; one that is revoked has signed nothing. Both take an admin, and are on record.
func TestSigningKeys(t *testing.T) {
	in(t, func(t *testing.T, m *machine, c *control.Control) {
		dev, admin := as(t, "dev", api.Deployer), as(t, "root", api.Admin)
		if _, err := c.StartRun(dev, gated("one")); err != nil {
			t.Fatal(err)
		}
		until(t, c, "asking", asks)
		counting := func() (good int, keys map[string]bool, why string) {
			t.Helper()
			list, err := c.Attestations(t.Context(), "bar", "r1")
			if err != nil {
				t.Fatal(err)
			}
			keys = map[string]bool{}
			for _, a := range list {
				if why = max(why, a.Invalid); a.Invalid == "" {
					good++
					keys[a.Key] = true
				}
			}
			return good, keys, why
		}
		states := func() (out string) {
			t.Helper()
			list, err := c.SigningKeys(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			for _, k := range list {
				out += fmt.Sprintf("%d %s ", k.Generation, k.State)
			}
			return strings.TrimSpace(out)
		}
		if _, err := c.RotateKey(dev); semper.CodeOf(err) != semper.Forbidden {
			t.Errorf("a deployer rotates the key: %v", err)
		}
		second, err := c.RotateKey(admin)
		if err != nil || second.State != api.KeySigns || second.Generation != 2 {
			t.Fatalf("%+v: %v", second, err)
		}
		if good, _, why := counting(); good != 3 || why != "" || states() != "2 signs 1 retired" {
			t.Errorf("after the rotation %d count, %s; keys %s", good, why, states())
		}
		if _, err := c.Approve(as(t, "olga", api.Deployer, "ops"), "", "", ""); err != nil {
			t.Fatal(err)
		}
		until(t, c, "ended", ended)
		if good, keys, _ := counting(); good != 5 || len(keys) != 2 || !keys[second.ID] {
			t.Errorf("%d statements by %v count", good, keys)
		}
		list, err := c.SigningKeys(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		first := list[1].ID
		_, err = c.RevokeKey(admin, "12345678", "")
		if semper.CodeOf(err) != semper.NotFound {
			t.Errorf("revoking what is not there: %v", err)
		}
		if _, err := c.RevokeKey(dev, first, ""); semper.CodeOf(err) != semper.Forbidden {
			t.Errorf("a deployer revokes a key: %v", err)
		}
		if _, err := c.RevokeKey(admin, first[:8], "a backup was lost"); err != nil {
			t.Fatal(err)
		}
		if good, _, why := counting(); good != 2 || !strings.Contains(why, "by root: a backup was lost") {
			t.Errorf("after the revocation %d count: %s", good, why)
		}
		if r, err := c.Rollback(dev, "bar", "production", "r1", "dev"); err != nil && semper.CodeOf(err) == semper.Forbidden {
			t.Errorf("what served may not serve again: %v, %v", r, err)
		}
		again, err := c.StartRun(dev, gated("one"))
		if err != nil {
			t.Fatal(err)
		}
		r := until(t, c, "asking or ended", func(r api.RunStatus) bool { return r.ID == again.ID && (asks(r) || ended(r)) })
		if g := r.Stages[0].Gates[0]; g.Unit == "" || r.State == course.Failed {
			t.Errorf("what a revoked key has signed saved a gate: %+v, %s", g, r.Reason)
		}
		if _, err := c.RevokeKey(admin, second.ID, ""); err != nil { // which signs: another one does from then on
			t.Fatal(err)
		}
		if got := states(); got != "3 signs 2 revoked 1 revoked" {
			t.Errorf("keys %s", got)
		}
		if got := strings.Join(kinds(t, c, "key."), " "); got != "key.refused key.rotated key.refused key.revoked key.rotated key.revoked" {
			t.Errorf("on record: %s", got)
		}
	})
}

// Who may only look says neither yes nor no, whatever groups he is in, and is on record.
func TestViewersDecideNothing(t *testing.T) {
	in(t, func(t *testing.T, m *machine, c *control.Control) {
		if _, err := c.StartRun(as(t, "dev", api.Deployer), gated("one")); err != nil {
			t.Fatal(err)
		}
		before := until(t, c, "asking", asks)
		vera := as(t, "vera", api.Viewer, "ops")
		_, yes := c.Approve(vera, "bar", "", "")
		_, no := c.Reject(vera, "bar", "", "")
		if semper.CodeOf(yes) != semper.Forbidden || semper.CodeOf(no) != semper.Forbidden {
			t.Errorf("a viewer said %v and %v", yes, no)
		}
		if got := kinds(t, c, "pipeline.refused"); len(got) != 2 {
			t.Errorf("the refusals are %d times on record", len(got))
		}
		if p, err := c.Pipelines(t.Context(), "bar"); err != nil || !asks(p[0].Runs[0]) || p[0].Runs[0].ID != before.ID {
			t.Errorf("the run moved: %+v, %v", p, err)
		}
	})
}
