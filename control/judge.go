package control

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"semper"
	"semper/control/judging"
	"semper/edge/mirror/told"
	"semper/internal/pause"
)

// preJudge is where the judge's records are stored: by app, environment and rollout.
const preJudge = "judge/"

const (
	keepRecords   = 20                      // of an environment
	storeEvery    = 2 * time.Second         // at most, but for verdicts that come to something else
	tellEvery     = time.Minute             // at most, of what the judge was given and refused
	judgePatience = 1500 * time.Millisecond // with edges and with the store
)

// judge looks at what edges have counted while some rollout is on trial or watched, and tells the model what it makes of that. It
// owns the records in the store. Whatever becomes of it, the rollouts wait: without a verdict nothing goes on and nothing is returned.
func (t *term) judge(ctx context.Context) error {
	cases := make(map[string]*hearing)
	for ctx.Err() == nil {
		v := t.c.view.Load()
		if v == nil {
			if !pause.For(ctx, retryable) {
				return nil
			}
			continue
		}
		open := v.trials()
		maps.DeleteFunc(cases, func(id string, _ *hearing) bool { _, ok := open[id]; return !ok })
		if len(open) == 0 {
			select {
			case <-v.changed:
			case <-ctx.Done():
			}
			continue
		}
		next := t.hear(ctx, v, open, cases)
		pause.For(ctx, time.Until(next))
	}
	return nil
}

// A trial is a rollout to be judged, as the model has it.
type trial struct {
	env   semper.Environment
	terms judging.Terms
	steps []semper.Step
}

func (t *trial) key() string {
	return preJudge + string(t.env.Key()) + "/" + t.env.Rollout.ID
}

// trials are the rollouts whose candidate has traffic, or had it until it got all.
func (v *view) trials() map[string]*trial {
	open := make(map[string]*trial)
	for _, e := range v.envs {
		r := e.Rollout
		if r == nil || r.Trial == nil || r.Trial.Scale == nil || r.Epoch == 0 || r.Hotfix != "" {
			continue
		}
		switch r.State {
		case semper.RolloutTrial, semper.RolloutStart, semper.RolloutReady, semper.RolloutConnect, semper.RolloutDrain, semper.RolloutWatch:
		default:
			continue
		}
		d := v.releases[e.App][r.To].Spec.Deploy
		if d == nil {
			continue
		}
		t := &trial{env: e, steps: d.Steps, terms: judging.Terms{
			App: e.App, Environment: e.Name, Rollout: r.ID, From: r.From, To: r.To, Against: r.Trial.Against, By: d.By, Judge: d.Judge,
			Shadow: slices.ContainsFunc(d.Steps, func(s semper.Step) bool { return s.Kind == semper.StepShadow }),
		}}
		open[t.key()] = t
	}
	return open
}

// hear looks at the cases that are due, and says when the next one is.
func (t *term) hear(ctx context.Context, v *view, open map[string]*trial, cases map[string]*hearing) time.Time {
	now := time.Now()
	due := make(map[string]*hearing)
	next := now.Add(idle)
	for id, tr := range open {
		h := cases[id]
		if h == nil {
			h = &hearing{term: t, key: id}
			cases[id] = h
		}
		h.trial = tr
		if !h.next.After(now) {
			h.next = now.Add(tr.terms.Interval())
			due[id] = h
		}
		if h.next.Before(next) {
			next = h.next
		}
	}
	if len(due) == 0 {
		return next
	}
	ask, cancel := context.WithTimeout(ctx, judgePatience)
	defer cancel()
	counts, err := t.c.o.Edges.Arms(ask)
	shadows, silent := t.shadows(ask, due)
	err = errors.Join(err, silent)
	memory := t.memory(v, due, now)
	for _, id := range slices.Sorted(maps.Keys(due)) {
		due[id].look(ctx, counts, shadows, err != nil, memory)
	}
	return next
}

// shadows are what edges have compared, where one of the due rollouts may still have its requests copied.
func (t *term) shadows(ctx context.Context, due map[string]*hearing) ([]told.Counts, error) {
	for _, h := range due {
		if h.trial.terms.Shadow && h.trial.env.Rollout.State == semper.RolloutTrial {
			return t.c.o.Edges.Shadows(ctx)
		}
	}
	return nil, nil
}

// memory is the resident memory of the instances on trial whose slice is over, by pid. It is read at once for all of them.
func (t *term) memory(v *view, due map[string]*hearing, now time.Time) map[int]int64 {
	var pids []int
	for _, h := range due {
		h.arms = [2][]int{}
		r := h.trial.env.Rollout
		if now.Before(h.slice) || r.Trial.Baseline == nil || r.State.Live() || r.State == semper.RolloutConnect {
			continue
		}
		h.slice = now.Add(h.trial.terms.Slice())
		h.arms = [2][]int{v.pids(r.Target), v.pids(*r.Trial.Baseline)}
		pids = append(append(pids, h.arms[0]...), h.arms[1]...)
	}
	if len(pids) == 0 {
		return nil
	}
	return t.c.o.Machine.Resident(pids)
}

// pids are the processes of p's instances that run.
func (v *view) pids(p semper.Placement) (pids []int) {
	for _, u := range p.Instances {
		if in, ok := v.instances[u.ID]; ok && in.State == semper.Ready && in.PID != 0 {
			pids = append(pids, in.PID)
		}
	}
	return pids
}

// A hearing is one rollout before the judge.
type hearing struct {
	term  *term
	key   string
	trial *trial
	next  time.Time
	slice time.Time // when memory is read again
	arms  [2][]int  // pids whose memory was read: the candidate's and the baseline's

	judge   *judging.Judge // nil: its record is not read yet
	lost    error          // why its record cannot be used
	version int64          // of the stored record
	trying  []byte         // what was written last, perhaps
	stored  time.Time
	told    semper.Verdict
	warned  time.Time
}

// look takes one look, stores what was learnt if it is worth that, and tells the model.
func (h *hearing) look(ctx context.Context, counts []semper.ArmCounts, shadows []told.Counts, silent bool, memory map[int]int64) {
	now := time.Now()
	if h.judge == nil && h.lost == nil {
		if err := h.open(ctx, now); err != nil {
			h.term.c.o.Log.Warn("the judge's record is not read; trying again", "rollout", h.trial.terms.Rollout, "error", err)
			return
		}
	}
	r := h.trial.env.Rollout
	if h.lost != nil {
		why := fmt.Sprintf("what was known of this rollout cannot be used, and without it nothing is said: %v", h.lost)
		h.warn(ctx, now, why+"; semper promote or semper abort decides")
		h.tell(ctx, h.trial.terms.Undecided(now, r.Trial.Step, judging.CauseRecord, why))
		return
	}
	l := judging.Look{
		At: now, Index: r.Trial.Step, Share: r.Trial.Share, Since: r.Trial.Since, Against: r.Trial.Against, Silent: silent, Counts: counts, Shadows: shadows,
		Watch: r.State == semper.RolloutConnect || r.State.Live(), Memory: judging.PerInstance(h.arms, memory), Means: h.term.c.lab.Means(h.trial.env.Key()),
	}
	if !r.Trial.Over && l.Index < len(h.trial.steps) {
		l.Step = h.trial.steps[l.Index]
	}
	v, err := h.judge.Look(l)
	if err != nil {
		h.warn(ctx, now, "the judge refused what it was given: "+err.Error())
	}
	news := v.Outcome != h.told.Outcome || v.Cause != h.told.Cause || v.Step != h.told.Step
	if news || now.Sub(h.stored) >= storeEvery {
		if err := h.store(ctx, now); err != nil {
			h.term.c.o.Log.Warn("the judge's record is not stored; trying again", "rollout", r.ID, "error", err)
			if news {
				return // first the evidence, then what follows from it
			}
		}
	}
	h.tell(ctx, v)
}

// tell gives the model a verdict.
func (h *hearing) tell(ctx context.Context, v semper.Verdict) {
	h.told = v
	key := h.trial.env.Key()
	h.term.c.tell(ctx, "a verdict", func(m *model) { m.verdicts[key] = v })
}

// warn writes an event, seldom.
func (h *hearing) warn(ctx context.Context, now time.Time, why string) {
	if now.Sub(h.warned) < tellEvery && !h.warned.IsZero() {
		return
	}
	h.warned = now
	c, t := h.term.c, h.trial
	e := semper.Event{At: now, Kind: "verdict.refused", App: t.env.App, Environment: t.env.Name, Rollout: t.terms.Rollout, Release: t.terms.To, Message: why}
	c.tell(ctx, "a warning of the judge", func(m *model) {
		change := m.newChange(now)
		change.events = []semper.Event{e}
		if err := m.commit(*change); err != nil {
			c.o.Log.Warn(why, "rollout", t.terms.Rollout, "not stored", err)
		}
	})
}

// open reads the record, or begins one.
func (h *hearing) open(ctx context.Context, now time.Time) error {
	ask, cancel := context.WithTimeout(ctx, judgePatience)
	defer cancel()
	it, err := h.term.c.o.Store.Get(ask, h.key)
	switch {
	case errors.Is(err, semper.ErrNotFound):
		h.judge, h.lost = judging.New(h.trial.terms, now)
		h.forget(ask)
		return nil
	case errors.Is(err, semper.ErrCorrupt):
		h.lost = err
		return nil
	case err != nil:
		return err
	}
	h.version = it.Version
	h.judge, h.lost = judging.Resume(h.trial.terms, it.Value)
	return nil
}

// store writes the record down. Nobody else writes it while the leadership holds: another version is one that was written here, and
// whose answer was lost.
func (h *hearing) store(ctx context.Context, now time.Time) error {
	b, err := h.judge.Encode()
	if err != nil {
		return err
	}
	ask, cancel := context.WithTimeout(ctx, judgePatience)
	defer cancel()
	last := h.trying
	h.trying = b
	rev, err := h.commit(ask, b)
	if errors.Is(err, semper.ErrConflict) {
		it, again := h.term.c.o.Store.Get(ask, h.key)
		if again != nil || last == nil || string(it.Value) != string(last) {
			h.judge, h.version, h.trying = nil, 0, nil // begin with what there is: edges still have the rest
			return errors.Join(err, again)
		}
		h.version = it.Version
		rev, err = h.commit(ask, b)
	}
	if err != nil {
		return err
	}
	h.version, h.stored, h.trying = rev, now, nil
	return nil
}

func (h *hearing) commit(ctx context.Context, b []byte) (int64, error) {
	return h.term.c.o.Store.Commit(ctx, semper.Txn{
		If:   []semper.Condition{h.term.leadership.Fence(), {Key: h.key, Version: h.version}},
		Then: []semper.Write{{Key: h.key, Value: b}},
	})
}

// forget drops the oldest records of the environment. That one of them stays for longer does no harm.
func (h *hearing) forget(ctx context.Context) {
	items, _, err := h.term.c.o.Store.List(ctx, preJudge+string(h.trial.env.Key())+"/")
	if err != nil || len(items) < keepRecords {
		return
	}
	slices.SortFunc(items, func(a, b semper.Item) int { return naturally(a.Key, b.Key) })
	txn := semper.Txn{If: []semper.Condition{h.term.leadership.Fence()}}
	for _, it := range items[:len(items)-keepRecords+1] {
		txn.Then = append(txn.Then, semper.Write{Key: it.Key, Delete: true})
	}
	if _, err := h.term.c.o.Store.Commit(ctx, txn); err != nil {
		h.term.c.o.Log.Debug("old records of the judge are kept", "error", err)
	}
}
