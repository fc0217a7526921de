package storetest

import (
	"context"
	"fmt"
	"maps"
	"sync"

	"github.com/google/go-cmp/cmp"

	"semper"
)

func watchPast(f *fixture) {
	r1 := f.put("a", "1")
	r2 := f.put("a", "2", "b", "2")
	r3 := f.remove("a")
	w := f.watch(f.ctx, r1-1)
	f.wantNext(w, "a=1", r1)
	f.wantNext(w, "a=2 b=2", r2)
	f.wantNext(w, "-a", r3)
	r4 := f.put("c", "4")
	f.wantNext(w, "c=4", r4)
	f.wantNext(f.watch(f.ctx, r2), "-a", r3)
}

func watchBatches(f *fixture) {
	w := f.watch(f.ctx, f.put("start", ""))
	f.commit(semper.Txn{Then: []semper.Write{{Key: "elsewhere/" + f.ns, Value: []byte("1")}}})
	r1 := f.commit(semper.Txn{Then: []semper.Write{
		{Key: f.key("b"), Value: []byte("1")}, {Key: "elsewhere/" + f.ns, Value: []byte("2")}, {Key: f.key("a"), Value: []byte("1")}, {Key: f.key("start"), Delete: true},
	}})
	r2 := f.put("z", "1")
	f.wantNext(w, "b=1 a=1 -start", r1)
	f.wantNext(w, "z=1", r2)
}

func watchFuture(f *fixture) {
	now := f.put("a", "1")
	w := f.watch(f.ctx, now+1)
	var last int64
	for last <= now+1 { // others may commit as well
		last = f.put("a", "2")
	}
	if _, rev := f.next(w); rev <= now+1 {
		f.Errorf("a watch after %d gives a change of %d", now+1, rev)
	}
}

func watchEnds(f *fixture) {
	ctx, cancel := context.WithCancel(f.ctx)
	w := f.watch(ctx, f.put("a", "1"))
	f.put("a", "2") // may or may not be delivered
	cancel()
	f.wantClosed(w)
	f.put("a", "3")
}

func watchSlow(f *fixture) {
	const commits = 300
	start := f.put("a", "0")
	w := f.watch(f.ctx, start)
	for i := range commits {
		f.put("a", fmt.Sprint(i)) // returns although nobody reads
	}
	for i := range commits {
		if got, _ := f.next(w); got != fmt.Sprintf("a=%d", i) {
			f.Fatalf("change %d is %q", i, got)
		}
	}
}

// watchAfterList follows a state through List and Watch while it changes, and must arrive at the same one.
func watchAfterList(f *fixture) {
	const writers, each = 4, 40
	var wg sync.WaitGroup
	begun := make(chan struct{}, writers)
	for n := range writers {
		wg.Go(func() {
			for i := range each {
				k := f.key(fmt.Sprintf("%d/%d", n, i%7))
				t := semper.Txn{Then: []semper.Write{{Key: k, Value: []byte(fmt.Sprint(i)), Delete: i%5 == 4}, {Key: f.key(fmt.Sprintf("n%d", n)), Value: []byte(fmt.Sprint(i))}}}
				if _, err := f.s.Commit(f.ctx, t); err != nil {
					f.Errorf("commit: %v", err)
					return
				}
				if i == each/4 {
					begun <- struct{}{}
				}
			}
		})
	}
	<-begun
	items, rev, err := f.s.List(f.ctx, f.ns)
	f.must(err)
	state := map[string]string{}
	for _, it := range items {
		state[it.Key] = string(it.Value)
	}
	ctx, cancel := context.WithCancel(f.ctx)
	defer cancel()
	w := f.watch(ctx, rev)
	wg.Wait()
	end := f.put("end", "1")
	for at := rev; at < end; {
		batch := <-w
		if len(batch) == 0 {
			f.Fatal("the watch was closed")
		}
		if v := batch[0].Version; v <= at {
			f.Fatalf("a change of %d after one of %d", v, at)
		}
		at = batch[0].Version
		for _, c := range batch {
			if c.Deleted {
				delete(state, c.Key)
			} else {
				state[c.Key] = string(c.Value)
			}
		}
	}
	items, _, err = f.s.List(f.ctx, f.ns)
	f.must(err)
	want := map[string]string{}
	for _, it := range items {
		want[it.Key] = string(it.Value)
	}
	if !maps.Equal(state, want) {
		f.Errorf("followed to another state: %s", cmp.Diff(want, state))
	}
}
