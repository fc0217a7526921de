package main

import (
	"context"
	"fmt"
	"maps"
	"os"
	"path"
	"slices"
	"strings"

	"semper/queue"
)

// A book is what was found out about all jobs.
type book struct {
	accepted map[queue.ID]string        // key by job: what clients were told
	ends     map[queue.ID][]queue.State // by job: the states it stands in
	effects  map[queue.ID]int           // attempts that had one
	keys     map[string]map[queue.ID]bool
	once     int // effects of a handler that uses its key
}

// audit waits for the last job, and goes through the books.
func (t *trial) audit(ctx context.Context) error {
	say("killed %d: %v; %d requests acknowledged, %d answers were none; waiting for the last", t.killer.total(), t.killer.done, t.crowd.count(), t.crowd.unheard)
	b := &book{}
	if err := t.operate(ctx, func(ctx context.Context, q queue.Queue) error { return t.settle(ctx, q, b) }); err != nil {
		return fmt.Errorf("the last jobs: %w\n%s", err, t.server.Logs())
	}
	if err := t.read(b); err != nil {
		return err
	}
	for _, f := range b.check() {
		t.crowd.find("%s", f)
	}
	again := 0
	for _, n := range b.effects {
		again += n - 1
	}
	say("%d requests were acknowledged and are done, once each; %d attempts had an effect a second time, and none of a handler that uses its key", len(b.accepted), again)
	if n := len(t.crowd.findings); n > 0 {
		return fmt.Errorf("%d findings:\n%s", n, strings.Join(t.crowd.findings[:min(n, 50)], "\n"))
	}
	return nil
}

// settle returns when nothing waits or runs any more, and writes down in which states each job stands.
func (t *trial) settle(ctx context.Context, q queue.Queue, b *book) error {
	for _, s := range []queue.State{queue.Queued, queue.Delayed, queue.Running} {
		left, err := q.List(ctx, s, queue.ID{}, 1)
		if err != nil {
			return err
		}
		if len(left) > 0 {
			return fmt.Errorf("%s is %s still", left[0].ID, s)
		}
	}
	b.ends = map[queue.ID][]queue.State{}
	for _, s := range []queue.State{queue.Done, queue.Dead} { // of results every kind stands in one place
		for after := (queue.ID{}); ; {
			some, err := q.List(ctx, s, after, 1000)
			if err != nil {
				return err
			}
			for _, j := range some {
				b.ends[j.ID] = append(b.ends[j.ID], j.State)
				after = j.ID
			}
			if len(some) < 1000 {
				break
			}
		}
	}
	return nil
}

// read is what clients and the app have written down.
func (t *trial) read(b *book) error {
	b.accepted, b.effects, b.keys = map[queue.ID]string{}, map[queue.ID]int{}, map[string]map[queue.ID]bool{}
	for at, key := range t.crowd.accepted {
		id, err := queue.ParseID(path.Base(at))
		if err != nil {
			return err
		}
		b.accepted[id] = key
	}
	text, err := os.ReadFile(t.effects())
	if err != nil {
		return err
	}
	for line := range strings.Lines(string(text)) {
		f := strings.Fields(line)
		if len(f) != 3 {
			return fmt.Errorf("effects: %q", line)
		}
		id, err := queue.ParseID(f[0])
		if err != nil {
			return err
		}
		b.effects[id]++
		if b.keys[f[1]] == nil {
			b.keys[f[1]] = map[queue.ID]bool{}
		}
		b.keys[f[1]][id] = true
	}
	once, err := os.ReadDir(t.once())
	b.once = len(once)
	return err
}

// check is what is wrong with the books.
func (b *book) check() (findings []string) {
	find := func(format string, args ...any) { findings = append(findings, fmt.Sprintf(format, args...)) }
	for id, key := range b.accepted {
		switch ends := b.ends[id]; {
		case len(ends) != 1:
			find("%s (%s) was acknowledged, and stands in %d final states: %v", id, key, len(ends), ends)
		case ends[0] != queue.Done:
			find("%s (%s) was acknowledged, and is %s", id, key, ends[0])
		}
		if b.effects[id] == 0 {
			find("%s (%s) was acknowledged, and had no effect", id, key)
		}
	}
	// Clients ask under their key until they are told. So nothing is there that nobody was told of, and a key is one job.
	for id := range b.ends {
		if _, ok := b.accepted[id]; !ok {
			find("%s is there, and nobody was told of it", id)
		}
	}
	for key, ids := range b.keys {
		if len(ids) != 1 {
			find("the key %s gave %d jobs: %v", key, len(ids), slices.Collect(maps.Keys(ids)))
		}
	}
	if b.once != len(b.accepted) {
		find("%d keys had an effect, and %d requests were acknowledged", b.once, len(b.accepted))
	}
	return findings
}
