package storetest

import (
	"context"
	"errors"

	"semper"
	"semper/store"
)

func (f *fixture) lead(ctx context.Context, id string) semper.Leadership {
	f.Helper()
	l, err := f.s.Lead(ctx, f.ns+"role", id)
	f.must(err)
	return l
}

func (f *fixture) wantDone(l semper.Leadership) {
	f.Helper()
	select {
	case <-l.Done():
	case <-f.ctx.Done():
		f.Fatal("the leadership goes on")
	}
}

func (f *fixture) wantLeads(l semper.Leadership, what string) {
	f.Helper()
	select {
	case <-l.Done():
		f.Errorf("%s: the leadership is over", what)
	default:
	}
	f.must(f.fenced(l, what))
}

func (f *fixture) fenced(l semper.Leadership, value string) error {
	_, err := f.s.Commit(f.ctx, semper.Txn{If: []semper.Condition{l.Fence()}, Then: []semper.Write{{Key: f.key("decision"), Value: []byte(value)}}})
	return err
}

// waiting is a Lead under way; its leadership comes on the channel, nil when it ended without.
func (f *fixture) waiting(ctx context.Context, id string) <-chan semper.Leadership {
	ch := make(chan semper.Leadership, 1)
	go func() {
		l, err := f.s.Lead(ctx, f.ns+"role", id)
		if err != nil && !errors.Is(err, context.Canceled) {
			f.Errorf("Lead: %v", err)
		}
		ch <- l
	}()
	return ch
}

func (f *fixture) arrives(ch <-chan semper.Leadership) semper.Leadership {
	f.Helper()
	select {
	case l := <-ch:
		return l
	case <-f.ctx.Done():
		f.Fatal("Lead does not return")
		return nil
	}
}

func leadFence(f *fixture) {
	l := f.lead(f.ctx, "a")
	f.wantLeads(l, "first decision")
	f.wantLeads(l, "second decision")
	f.wantValue("decision", "second decision")
	it, err := f.s.Get(f.ctx, store.LeadKey(f.ns+"role"))
	f.must(err)
	if want := (semper.Condition{Key: it.Key, Version: it.Version}); string(it.Value) != "a" || l.Fence() != want {
		f.Errorf("the fence is %v, the key says %q at %v", l.Fence(), it.Value, want)
	}
}

func leadOne(f *fixture) {
	const candidates = 5
	var chans []<-chan semper.Leadership
	ctx, cancel := context.WithCancel(f.ctx)
	defer cancel()
	for _, id := range []string{"a", "b", "c", "d", "e"} {
		chans = append(chans, f.waiting(ctx, id))
	}
	led := map[int]bool{}
	for range candidates {
		var l semper.Leadership
		who := -1
		for l == nil {
			for i, ch := range chans {
				select {
				case l = <-ch:
					who = i
				default:
				}
				if l != nil {
					break
				}
			}
			if f.ctx.Err() != nil {
				f.Fatal("nobody leads")
			}
		}
		if led[who] {
			f.Fatalf("candidate %d leads twice", who)
		}
		led[who] = true
		f.wantLeads(l, "the only one")
		f.must(l.Resign(f.ctx))
		if err := f.fenced(l, "late"); !errors.Is(err, semper.ErrConflict) {
			f.Errorf("a decision after resigning: %v", err)
		}
	}
}

func leadResign(f *fixture) {
	l := f.lead(f.ctx, "a")
	f.must(l.Resign(f.ctx))
	f.wantDone(l)
	f.wantConflict(f.fenced(l, "late"))
	f.must(l.Resign(f.ctx))
	again := f.lead(f.ctx, "a")
	f.wantLeads(again, "again")
	f.wantConflict(f.fenced(l, "by the old fence"))
}

func leadContext(f *fixture) {
	ctx, cancel := context.WithCancel(f.ctx)
	l := f.lead(ctx, "a")
	f.wantLeads(l, "decision")
	cancel()
	f.wantDone(l)
	next := f.lead(f.ctx, "b") // need not wait for a lease to end
	f.wantLeads(next, "next")
	f.wantConflict(f.fenced(l, "late"))
}

func leadDeposed(f *fixture) {
	l := f.lead(f.ctx, "a")
	f.commit(semper.Txn{If: []semper.Condition{l.Fence()}, Then: []semper.Write{{Key: l.Fence().Key, Delete: true}}})
	f.wantConflict(f.fenced(l, "late"))
	f.wantDone(l)
}

func leadSameID(f *fixture) {
	old := f.lead(f.ctx, "a")
	again := f.lead(f.ctx, "a")
	f.wantDone(old)
	f.wantConflict(f.fenced(old, "late"))
	f.wantLeads(again, "again")
	f.must(old.Resign(f.ctx)) // must not take it from the new one
	f.wantLeads(again, "still")
}

func leadWaitEnds(f *fixture) {
	l := f.lead(f.ctx, "a")
	ctx, cancel := context.WithCancel(f.ctx)
	second := f.waiting(ctx, "b")
	cancel()
	if got := f.arrives(second); got != nil {
		f.Error("leads although another does")
	}
	f.wantLeads(l, "undisturbed")
}

func leadHandover(f *fixture) {
	first := f.lead(f.ctx, "a")
	waiting := f.waiting(f.ctx, "b")
	f.wantLeads(first, "while another waits")
	f.must(first.Resign(f.ctx))
	second := f.arrives(waiting)
	if second == nil {
		f.Fatal("the next one does not lead")
	}
	f.wantLeads(second, "by the next one")
	f.wantConflict(f.fenced(first, "late"))
	if first.Fence().Version >= second.Fence().Version {
		f.Errorf("fences do not rise: %d, then %d", first.Fence().Version, second.Fence().Version)
	}
}
