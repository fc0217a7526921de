package etcd_test

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"semper"
	"semper/queue"
	"semper/store"
	"semper/store/mem"
)

// fullDisk is a store that refuses to write while it is full.
type fullDisk struct {
	*mem.Store
	full atomic.Bool
}

var _ store.Bulk = (*fullDisk)(nil)

func (d *fullDisk) Commit(ctx context.Context, t semper.Txn) (int64, error) {
	if d.full.Load() {
		return 0, &semper.Error{Code: semper.NoSpace, Op: "store", Message: "the store takes no writes", Hint: "free space"}
	}
	return d.Store.Commit(ctx, t)
}

// TestFullDisk refuses with the store's reason, loses nothing that was accepted, and goes on by itself.
func TestFullDisk(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		disk := &fullDisk{Store: mem.New()}
		e := engine(t, disk, "edge-1", "")
		q, err := e.Open(t.Context(), shop, queue.Policy{Lease: time.Hour})
		must(t, err)
		j := queue.Job{DedupKey: "order-1", Request: queue.Request{Method: "POST", Target: "/"}}
		first, err := q.Enqueue(t.Context(), j)
		must(t, err)
		claims, err := q.Claim(t.Context(), "w", 1)
		must(t, err)
		_, err = q.Enqueue(t.Context(), queue.Job{Request: j.Request})
		must(t, err)

		disk.full.Store(true)
		again, err := q.Enqueue(t.Context(), j)
		if err != nil || again.ID != first.ID || !again.Duplicate {
			t.Errorf("what was accepted before is asked for again: %+v, %v", again, err)
		}
		other := j
		other.DedupKey = "order-2"
		for _, refused := range []func() error{
			func() error { _, err := q.Enqueue(t.Context(), other); return err },
			func() error { return q.Complete(t.Context(), claims[0].Lease, queue.Result{Status: 200}) },
			func() error { _, err := q.Pause(t.Context(), queue.By{Who: "ada"}); return err },
		} {
			if err := refused(); semper.CodeOf(err) != semper.NoSpace {
				t.Errorf("on a full disk: %v", err)
			}
		}
		short, cancel := context.WithTimeout(t.Context(), time.Minute)
		if got, err := q.Claim(short, "w", 1); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("a claim on a full disk gives %v, %v", got, err)
		}
		cancel()

		disk.full.Store(false)
		must(t, q.Complete(t.Context(), claims[0].Lease, queue.Result{Status: 200}))
		r, err := q.Enqueue(t.Context(), other)
		if err != nil || r.Duplicate {
			t.Errorf("the refused one, sent again: %+v, %v", r, err)
		}
		for n := 0; n < 2; {
			claims, err := q.Claim(t.Context(), "w", 2)
			must(t, err)
			for _, c := range claims {
				must(t, q.Complete(t.Context(), c.Lease, queue.Result{Status: 200}))
				n++
			}
		}
		s, err := q.Stats(t.Context())
		if err != nil || s.Queued+s.Running+s.Delayed+s.Dead != 0 || s.Bytes != 0 {
			t.Errorf("%+v, %v", s, err)
		}
		must(t, errors.Join(e.Close(), disk.Close()))
	})
}

// damagedDisk is a store that finds one value damaged; as store/etcd does, which tests that.
type damagedDisk struct {
	*mem.Store
	key string // of it
}

func (d *damagedDisk) damage() error {
	return &semper.Error{Code: semper.Tampered, Op: "store", Message: d.key, Err: semper.ErrCorrupt}
}

// hit is whether the damaged value is there.
func (d *damagedDisk) hit(ctx context.Context, key string) bool {
	items, err := d.Store.Fetch(ctx, d.key)
	return key == d.key && err == nil && items[0].Version != 0
}

func (d *damagedDisk) Get(ctx context.Context, key string) (semper.Item, error) {
	if d.hit(ctx, key) {
		return semper.Item{}, d.damage()
	}
	return d.Store.Get(ctx, key)
}

func (d *damagedDisk) Fetch(ctx context.Context, keys ...string) ([]semper.Item, error) {
	for _, key := range keys {
		if d.hit(ctx, key) {
			return nil, d.damage()
		}
	}
	return d.Store.Fetch(ctx, keys...)
}

func (d *damagedDisk) Scan(ctx context.Context, ranges []store.Range, visit func(semper.Item) error) (int64, error) {
	lax := true
	for _, r := range ranges {
		lax = lax && (r.Lax || r.Keys)
	}
	return d.Store.Scan(ctx, ranges, func(it semper.Item) error {
		if it.Key == d.key {
			if it.Value = nil; !lax {
				return d.damage()
			}
		}
		return visit(it)
	})
}

// TestDamage has one record of a job damaged. The job becomes dead and says why, nothing else is held up by it, and an
// operator can discard it.
func TestDamage(t *testing.T) {
	t.Parallel()
	for _, kind := range []string{"job", "run", "delay", "dead", "index"} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) { damage(t, kind) })
		})
	}
}

func damage(t *testing.T, kind string) {
	disk := &damagedDisk{Store: mem.New()}
	defer func() { must(t, disk.Close()) }()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	service := queue.Service{App: "shop", Environment: "production", Service: kind}
	rules := queue.Policy{Order: queue.OrderStrict, Lease: time.Second, MaxAttempts: 2, Backoff: queue.Backoff{Base: time.Millisecond, Max: time.Millisecond}}
	e := engine(t, disk, "edge", "")
	q, err := e.Open(ctx, service, rules)
	must(t, err)
	add := func() queue.ID {
		r, err := q.Enqueue(ctx, queue.Job{Request: queue.Request{Method: "POST", Target: "/"}})
		must(t, err)
		return r.ID
	}
	victim := add()
	if kind != "job" && kind != "index" {
		claims, err := q.Claim(ctx, "w", 1)
		must(t, err)
		switch kind {
		case "delay":
			_, err = q.Pause(ctx, queue.By{Who: "test"}) // so that it is not claimed again
			must(t, errors.Join(err, q.Release(ctx, claims[0].Lease), q.Resume(ctx, queue.By{Who: "test"})))
		case "dead":
			_, err = q.Fail(ctx, claims[0].Lease, queue.Failure{Status: 503, Final: true})
			must(t, err)
		}
	}
	must(t, e.Close())
	disk.key = "q/" + service.String() + "/" + kind + "/" + victim.String()
	if kind == "index" {
		_, err := disk.Commit(ctx, semper.Txn{Then: []semper.Write{{Key: disk.key, Value: []byte("page")}}})
		must(t, err)
	}
	e = engine(t, disk, "edge", "")
	defer func() { must(t, e.Close()) }()
	q, err = e.Open(ctx, service, rules)
	must(t, err)
	other := add()
	if kind == "index" {
		other = victim
	}
	claims, err := q.Claim(ctx, "w", 1)
	must(t, err)
	if claims[0].ID != other {
		t.Errorf("%s is handed out", claims[0].ID)
	}
	must(t, q.Complete(ctx, claims[0].Lease, queue.Result{Status: 200}))
	if kind == "index" {
		return
	}
	all, err := q.List(ctx, queue.Dead, queue.ID{}, 10)
	must(t, err)
	if len(all) != 1 || all[0].ID != victim || !strings.Contains(all[0].Why, "damaged") && !strings.Contains(all[0].Why, "cannot be read") {
		t.Errorf("dead is %+v", all)
	}
	s, err := q.Stats(ctx)
	must(t, err)
	if s.Dead != 1 || s.Queued+s.Running+s.Delayed != 0 {
		t.Errorf("%+v", s)
	}
	if n, err := q.Discard(ctx, queue.By{Who: "ada"}, victim); n != 1 || err != nil {
		t.Errorf("%d discarded, %v", n, err)
	}
	if st, err := q.Get(ctx, victim); err != nil || st.State != queue.Discarded {
		t.Errorf("%+v, %v", st, err)
	}
}

// TestClocks has jobs accepted by machines whose clocks differ by hours: order is that of acceptance, ages are not
// negative, and nothing waits for a clock.
func TestClocks(t *testing.T) {
	bubble(t, queue.Policy{Order: queue.OrderStrict}, func(p *pair) {
		a, b := p.start("edge-1"), p.start("edge-2")
		defer func() { must(t, errors.Join(a.Close(), b.Close())) }()
		var ids []queue.ID
		for i, off := range []time.Duration{2 * time.Hour, 0, -3 * time.Hour, time.Hour} {
			j := queue.Job{ID: queue.NewID(time.Now().Add(off)), Request: queue.Request{Method: "POST", Target: "/"}}
			r, err := []process{a, b}[i%2].Enqueue(p.ctx, j)
			must(t, err)
			ids = append(ids, r.ID)
		}
		synctest.Wait() // the bell
		s, err := a.Stats(p.ctx)
		if err != nil || s.Age(time.Now().Add(-time.Hour)) != 0 || s.Queued != len(ids) {
			t.Errorf("%+v, %v", s, err)
		}
		for i, id := range ids {
			claims, err := a.Claim(p.ctx, "w", 10)
			must(t, err)
			if len(claims) != 1 || claims[0].ID != id {
				t.Fatalf("claim %d is %v", i, claims)
			}
			must(t, a.Complete(p.ctx, claims[0].Lease, queue.Result{Status: 200}))
		}
	})
}
