package lab

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"slices"
	"strconv"
	"time"

	"semper"
	"semper/api"
	"semper/edge/route"
	"semper/experiment"
	"semper/experiment/design"
	"semper/internal/nearest"
)

// Bounds of what is pushed.
const (
	perSecond = 5_000  // values of one app
	burst     = 20_000 // of them at once
	future    = 5 * time.Minute
)

// A bucket has room for values. It fills up with time.
type bucket struct {
	left float64
	at   time.Time
}

// allow takes n out of an app's bucket, or says when it has them.
func (l *Lab) allow(app string, n int) (wait time.Duration) {
	now := l.now()
	b := l.rate[app]
	if b == nil {
		b = &bucket{left: burst, at: now}
		l.rate[app] = b
	}
	b.left = min(b.left+max(now.Sub(b.at).Seconds(), 0)*perSecond, burst)
	b.at = now
	if short := float64(n) - b.left; short > 0 {
		return time.Duration(short / perSecond * float64(time.Second))
	}
	b.left -= float64(n)
	return 0
}

// Push takes values. It returns once those that it took are stored; what is wrong with the others stands in the answer.
func (l *Lab) Push(ctx context.Context, b api.MetricBatch) (api.MetricAnswer, error) {
	const op = "push metrics"
	l.mu.Lock()
	defer l.mu.Unlock()
	if wait := l.allow(b.App, len(b.Values)); wait > 0 {
		return api.MetricAnswer{}, &semper.Error{
			Code: semper.Unavailable, Op: op, Message: fmt.Sprintf("app %s pushes more than %d values a second", b.App, perSecond),
			Hint: fmt.Sprintf("push the same batch again in %s: nothing of it was taken", wait.Round(time.Millisecond)),
		}
	}
	runs := l.counting(b.App, b.Environment)
	if len(runs) == 0 && len(l.awaited[b.App]) == 0 {
		return api.MetricAnswer{}, &semper.Error{Code: semper.NotFound, Op: op, Message: fmt.Sprintf("no experiment of %s runs, and no judge asks for a metric", b.App), Hint: "semper experiment list; deploy.judge.metrics in semper.yaml"}
	}
	for _, r := range runs {
		if err := l.open(ctx, r); err != nil {
			return api.MetricAnswer{}, away(op, err)
		}
	}
	p := pushing{l: l, app: b.App, runs: runs, entries: make(map[*run]*experiment.Entry), fresh: make(map[uint64]bool), answer: api.MetricAnswer{Errors: []api.MetricError{}}}
	for i := range b.Values {
		if err := p.value(&b.Values[i]); err != nil {
			p.answer.Errors = append(p.answer.Errors, api.MetricError{Index: i, ID: b.Values[i].ID, Message: err.Error()})
		}
	}
	if err := l.take(ctx, p.entries); err != nil {
		return api.MetricAnswer{}, away(op, err)
	}
	return p.answer, nil
}

func away(op string, err error) error {
	return &semper.Error{Code: semper.Unavailable, Op: op, Message: "the store did not take it, or not for sure", Hint: "push the same batch again: what was taken is known by its ids", Err: err}
}

// pushing is one batch.
type pushing struct {
	l       *Lab
	app     string
	raw     string // id of the value at hand
	runs    []*run
	entries map[*run]*experiment.Entry
	fresh   map[uint64]bool // ids of this batch, with those of the users
	answer  api.MetricAnswer
}

// value takes one value, for every run that wants it.
func (p *pushing) value(v *api.MetricValue) error {
	now := p.l.now()
	if v.Value == nil {
		one := 1.0
		v.Value = &one
	}
	switch err := experiment.CheckValue(*v.Value); {
	case err != nil:
		return fmt.Errorf("value %v: %w", *v.Value, err)
	case v.ID == "" || len(v.ID) > 256:
		return fmt.Errorf("id has %d characters: give each value one of its own, of 1 to 256, by which it is known when it comes again", len(v.ID))
	case v.At.After(now.Add(future)):
		return fmt.Errorf("at %s lies in the future", v.At.Format(time.RFC3339))
	case v.At.IsZero():
		v.At = now
	}
	p.raw = v.ID
	value := experiment.Value{Value: *v.Value, At: v.At.UnixMilli(), Segments: v.Segments}
	known, wanted := v.Experiment == "", false
	if v.Instance != "" {
		wanted = p.judged(&value, v.Metric, v.Instance)
	}
	for _, r := range p.runs {
		if r.trial != nil || wanted && v.Key == "" && v.TargetingKey == "" {
			continue // who says no user is of no experiment
		}
		if v.Experiment != "" && v.Experiment != r.x.Plan.Name {
			continue
		}
		known = true
		m := slices.IndexFunc(r.plan.Metrics, func(m design.Metric) bool { return m.Name == v.Metric })
		if m < 0 {
			continue
		}
		wanted = true
		number, err := r.number(v)
		if err != nil {
			return err
		}
		value.ID, value.User, value.Metric = r.id(v.ID), number, m
		p.add(r, value)
	}
	switch {
	case wanted:
	case !known:
		return fmt.Errorf("no experiment %q runs", v.Experiment)
	case p.l.awaited[p.app][v.Metric]:
		return fmt.Errorf("%s is for a rollout's judge, which goes by sides: give instance as SEMPER_INSTANCE has it", v.Metric)
	default:
		return fmt.Errorf("no experiment that runs has a metric %q%s", v.Metric, p.near(v.Metric))
	}
	return nil
}

func (p *pushing) near(metric string) string {
	if word := nearest.To(metric, p.metrics()); word != "" {
		return ": did you mean " + word + "?"
	}
	return ""
}

// add takes a value for a run, unless it was taken before.
func (p *pushing) add(r *run, v experiment.Value) bool {
	if p.fresh[v.ID] || r.state.Has(v.User, v.ID) {
		p.answer.Known++
		return false
	}
	p.fresh[v.ID] = true
	e := p.entries[r]
	if e == nil {
		e = &experiment.Entry{}
		p.entries[r] = e
	}
	e.Values = append(e.Values, v)
	p.answer.Taken++
	return true
}

// number is the user's, by the key that the app knows the user by, or by the one that the edge gave.
func (r *run) number(v *api.MetricValue) (uint64, error) {
	switch {
	case (v.TargetingKey == "") == (v.Key == ""):
		return 0, fmt.Errorf("a value is of one user: targeting_key as in %s of the experiment, or key as in %s", r.plan.By, design.KeyField)
	case v.Key != "" && v.Experiment == "":
		return 0, fmt.Errorf("key %q is of one experiment: say of which", v.Key)
	case v.Key != "":
		n, err := strconv.ParseUint(v.Key, 16, 64)
		if err != nil || len(v.Key) != 16 {
			return 0, fmt.Errorf("key %q is not what %s has for the experiment: 16 hexadecimal digits", v.Key, design.KeyField)
		}
		return n, nil
	case r.plan.By == experiment.ByUser || r.plan.By == "client":
		return 0, fmt.Errorf("experiment %s knows users by %s, which no app knows: give experiment, and key as in %s", r.x.Plan.Name, r.plan.By, design.KeyField)
	}
	n, _ := r.v.Place(route.Hash([]byte(v.TargetingKey), design.UserSalt))
	return n, nil
}

// id is a keyed hash of a value's id, which may name somebody.
func (r *run) id(id string) uint64 {
	sum := sha256.Sum256(append(append(slices.Clone(r.x.Key), "value "...), id...))
	return binary.BigEndian.Uint64(sum[:])
}
