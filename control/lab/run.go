package lab

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	"semper"
	"semper/experiment"
	"semper/experiment/design"
)

// Prefix is where runs are stored: by app, environment, experiment and run.
const Prefix = "experiment/"

// When parts are stored.
const (
	foldEvery   = 30 * time.Second
	foldEntries = 128
	foldBytes   = 1 << 20
)

// A run is one experiment's, as far as it is read.
type run struct {
	key   string
	x     design.Experiment
	v     design.Variation
	plan  design.Plan
	trial *Trial            // that it is of; nil of an experiment
	state *experiment.State // nil: read it anew

	seq     uint64   // of the last entry
	entries []uint64 // stored, and not yet in every part
	bytes   int      // of them
	folded  time.Time

	changed  bool // since report
	report   experiment.Report
	reported time.Time
}

func keyOf(env semper.EnvironmentKey, x *design.Experiment) string {
	return Prefix + string(env) + "/" + x.Plan.Name + "/" + x.Run + "/"
}

func (r *run) entryKey(seq uint64) string { return fmt.Sprintf("%slog/%016d", r.key, seq) }
func (r *run) partKey(part int) string    { return fmt.Sprintf("%spart/%02d", r.key, part) }

// open reads the run, where that is not done.
func (l *Lab) open(ctx context.Context, r *run) error {
	if r.state != nil {
		return nil
	}
	items, _, err := l.store.List(ctx, r.key)
	if err != nil {
		return err
	}
	state := experiment.New(r.plan)
	r.seq, r.entries, r.bytes = 0, nil, 0
	var log []semper.Item
	for _, it := range items {
		rest := strings.TrimPrefix(it.Key, r.key)
		if n, ok := strings.CutPrefix(rest, "part/"); ok {
			part, err := strconv.Atoi(n)
			if err == nil {
				err = state.Decode(part, it.Value)
			}
			if err != nil {
				return fmt.Errorf("experiment %s: %s: %w", r.x.Plan.Name, it.Key, err)
			}
			continue
		}
		log = append(log, it)
	}
	r.seq = state.Applied()
	for _, it := range log { // in the order of their keys, which is that of their numbers
		var e experiment.Entry
		if err := json.Unmarshal(it.Value, &e); err != nil {
			return fmt.Errorf("experiment %s: %s: %w", r.x.Plan.Name, it.Key, err)
		}
		state.Apply(&e)
		r.seq = max(r.seq, e.Seq)
		r.entries = append(r.entries, e.Seq)
		r.bytes += len(it.Value)
	}
	r.state, r.changed, r.folded = state, true, l.now()
	return nil
}

// fold stores the parts that have changed, and then drops the entries.
func (l *Lab) fold(ctx context.Context, r *run) error {
	if r.state == nil || len(r.entries) == 0 || len(r.entries) < foldEntries && r.bytes < foldBytes && l.now().Sub(r.folded) < foldEvery {
		return nil
	}
	for _, part := range r.state.Dirty() {
		if err := l.commit(ctx, nil, semper.Write{Key: r.partKey(part), Value: r.state.Encode(part)}); err != nil {
			r.state = nil
			return err
		}
	}
	for len(r.entries) > 0 {
		n := min(len(r.entries), 256)
		var writes []semper.Write
		for _, seq := range r.entries[:n] {
			writes = append(writes, semper.Write{Key: r.entryKey(seq), Delete: true})
		}
		if err := l.commit(ctx, nil, writes...); err != nil {
			r.state = nil
			return err
		}
		r.entries = r.entries[n:]
	}
	r.bytes, r.folded = 0, l.now()
	return nil
}

func (l *Lab) commit(ctx context.Context, conditions []semper.Condition, writes ...semper.Write) error {
	_, err := l.store.Commit(ctx, semper.Txn{If: append(conditions, l.fence), Then: writes})
	return err
}

// take stores entries of some runs together, and applies them.
func (l *Lab) take(ctx context.Context, entries map[*run]*experiment.Entry) error {
	var conditions []semper.Condition
	var writes []semper.Write
	for r, e := range entries {
		e.Seq = r.seq + 1
		b, err := json.Marshal(e)
		if err != nil {
			return err
		}
		r.bytes += len(b)
		key := r.entryKey(e.Seq)
		conditions = append(conditions, semper.Condition{Key: key})
		writes = append(writes, semper.Write{Key: key, Value: b})
	}
	if len(writes) == 0 {
		return nil
	}
	if err := l.commit(ctx, conditions, writes...); err != nil {
		for r := range entries { // perhaps it is stored: what is there counts
			r.state = nil
		}
		return err
	}
	for r, e := range entries {
		r.state.Apply(e)
		r.seq, r.changed = e.Seq, true
		r.entries = append(r.entries, e.Seq)
	}
	return nil
}
