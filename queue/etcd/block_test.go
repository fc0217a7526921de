package etcd_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"semper"
	"semper/queue"
	"semper/queue/queuetest"
	"semper/store"
	"semper/store/mem"
)

// TestContractPacked is TestContract with every job in a block, also where it comes alone.
func TestContractPacked(t *testing.T) {
	t.Parallel()
	packed := func(t testing.TB, s *mem.Store, bodies string) *inMemory {
		e := engine(t, s, "edge-1", bodies)
		e.PackFrom(1)
		return &inMemory{e, s, bodies}
	}
	queuetest.Run(t, queuetest.Harness{
		Bubble: true,
		Open:   func(t testing.TB) queue.Engine { return packed(t, mem.New(), t.TempDir()) },
		Reopen: func(t testing.TB, e queue.Engine) queue.Engine {
			old := e.(*inMemory)
			if err := old.Engine.Close(); err != nil {
				t.Error(err)
			}
			return packed(t, old.store, old.bodies)
		},
	})
}

// slowDisk is a store whose commits take their time, so that what comes meanwhile goes into the next.
type slowDisk struct{ store.Bulk }

func (d slowDisk) Commit(ctx context.Context, t semper.Txn) (int64, error) {
	time.Sleep(time.Millisecond)
	return d.Bulk.Commit(ctx, t)
}

// blocks is a queue of jobs that come many at a time, over a store that can be looked into.
type blocks struct {
	process
	t     *testing.T
	ctx   context.Context
	store store.Bulk
	p     queue.Policy
	lives int
}

// inBlocks runs f where time is virtual.
func inBlocks(t *testing.T, open func() store.Bulk, p queue.Policy, f func(*blocks)) {
	t.Helper()
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Hour)
		defer cancel()
		b := &blocks{t: t, ctx: ctx, store: open(), p: p}
		disk := b.store
		b.store = slowDisk{disk}
		b.begin()
		f(b)
		must(t, b.Close())
		if c, ok := disk.(io.Closer); ok {
			must(t, c.Close())
		}
	})
}

func memory() store.Bulk { return mem.New() }

// begin is a process of its own that dispatches.
func (b *blocks) begin() {
	b.t.Helper()
	b.lives++
	e := engine(b.t, b.store, fmt.Sprint("edge-", b.lives), "")
	q, err := e.Open(b.ctx, shop, b.p)
	must(b.t, err)
	b.process = process{e, q}
	synctest.Wait()
}

func (b *blocks) again() {
	b.t.Helper()
	must(b.t, b.Close())
	b.begin()
}

// add accepts jobs that come together, and gives their ids in the order of acceptance.
func (b *blocks) add(n int, make func(i int) queue.Job) []queue.ID {
	b.t.Helper()
	var mu sync.Mutex
	var all []queue.Receipt
	var wg sync.WaitGroup
	wg.Go(func() { // while it is written the others come
		_, err := b.Enqueue(b.ctx, queue.Job{Priority: 9, Request: queue.Request{Method: "POST", Target: "/"}})
		if err != nil {
			b.t.Error(err)
		}
	})
	synctest.Wait()
	for i := range n {
		wg.Go(func() {
			j := make(i)
			j.Request = queue.Request{Method: "POST", Target: "/", Body: fmt.Append(nil, i)}
			r, err := b.Enqueue(b.ctx, j)
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				b.t.Error(err)
			}
			all = append(all, r)
		})
	}
	wg.Wait()
	b.do(1)
	slices.SortStableFunc(all, func(a, b queue.Receipt) int { return int(a.Revision - b.Revision) })
	var ids []queue.ID
	for _, r := range all {
		ids = append(ids, r.ID)
	}
	return ids
}

func plain(int) queue.Job { return queue.Job{} }

// keys are those that are stored below kind.
func (b *blocks) keys(kind string) (out []string) {
	b.t.Helper()
	_, err := b.store.Scan(b.ctx, []store.Range{{Prefix: "q/" + shop.String() + "/" + kind + "/", Keys: true}}, func(it semper.Item) error {
		out = append(out, it.Key)
		return nil
	})
	must(b.t, err)
	return out
}

// expect is how many records of each kind there are.
func (b *blocks) expect(want map[string]int) {
	b.t.Helper()
	for kind, n := range want {
		if got := b.keys(kind); len(got) != n {
			b.t.Errorf("%d records below %s/, want %d: %v", len(got), kind, n, got)
		}
	}
}

// do claims and completes n jobs and gives their ids in the order of their starts.
func (b *blocks) do(n int) (ids []queue.ID) {
	b.t.Helper()
	for len(ids) < n {
		claims, err := b.Claim(b.ctx, "w", min(n-len(ids), 100))
		must(b.t, err)
		for _, c := range claims {
			ids = append(ids, c.ID)
			must(b.t, b.Complete(b.ctx, c.Lease, queue.Result{Status: 200}))
		}
	}
	return ids
}

// TestBlocks accepts many at once: they stand in few records, a dispatcher that begins reads none of their requests and
// goes on in their order, and nothing is left of them when they are over but their results.
func TestBlocks(t *testing.T) {
	inBlocks(t, memory, queue.Policy{}, func(b *blocks) {
		const n = 1000
		b.add(n, func(i int) queue.Job { return queue.Job{Key: fmt.Sprint("k", i), Priority: i%3 - 1} })
		b.expect(map[string]int{"job": n % 8, "index": 0})
		if few := len(b.keys("block")); few == 0 || few > n/10 || few != len(b.keys("head")) {
			t.Errorf("%d jobs stand in %d blocks with %d heads", n, few, len(b.keys("head")))
		}
		all, err := b.List(b.ctx, queue.Queued, queue.ID{}, n)
		must(t, err)
		var paged []queue.Status
		for after := (queue.ID{}); ; after = paged[len(paged)-1].ID {
			page, err := b.List(b.ctx, queue.Queued, after, 33)
			must(t, err)
			if len(page) == 0 {
				break
			}
			paged = append(paged, page...)
		}
		if len(all) != n || !slices.EqualFunc(all, paged, func(a, b queue.Status) bool { return a.ID == b.ID && a.Key == b.Key }) {
			t.Errorf("%d are listed, %d page by page", len(all), len(paged))
		}
		first := b.do(200)
		b.again()
		stats, err := b.Stats(b.ctx)
		if err != nil || stats.Queued != n-200 {
			t.Errorf("%+v, %v", stats, err)
		}
		rank := map[queue.ID]int{}
		for _, st := range all {
			rank[st.ID] = -st.Priority
		}
		if got := append(first, b.do(n-200)...); !slices.IsSortedFunc(got, func(a, b queue.ID) int { return rank[a] - rank[b] }) {
			t.Error("they do not start by their priority")
		}
		time.Sleep(3 * time.Second)
		b.expect(map[string]int{"job": 0, "block": 0, "head": 0, "over": 0, "run": 0, "res": n + 1})
	})
}

// TestBlockEmpties leaves few jobs of a block, one in each state that lasts: they move out, keep their place in the order
// and all that is known of them, and the block goes.
func TestBlockEmpties(t *testing.T) {
	inBlocks(t, memory, queue.Policy{MaxAttempts: 3, Lease: time.Hour, Backoff: queue.Backoff{Base: time.Hour, Max: time.Hour}}, func(b *blocks) {
		ids := b.add(30, func(i int) queue.Job {
			if i < 2 {
				return queue.Job{NotBefore: time.Now().Add(30 * time.Minute), Priority: 5 + i}
			}
			return queue.Job{}
		})
		claims, err := b.Claim(b.ctx, "w", 3)
		must(t, err)
		_, err = b.Fail(b.ctx, claims[0].Lease, queue.Failure{Status: 503})
		must(t, err)
		_, err = b.Fail(b.ctx, claims[1].Lease, queue.Failure{Status: 503, Final: true})
		must(t, err)
		b.do(len(ids) - 5)
		if n := len(b.keys("block")); n == 0 {
			t.Error("no job stands in a block")
		}
		time.Sleep(5 * time.Second)
		if len(b.keys("block")) == 0 {
			t.Error("a block went of which a job runs")
		}
		must(t, b.Complete(b.ctx, claims[2].Lease, queue.Result{Status: 200}))
		time.Sleep(5 * time.Second)
		b.expect(map[string]int{"job": 4, "block": 0, "head": 0, "over": 0, "delay": 3, "dead": 1})
		b.again()
		if n, err := b.Retry(b.ctx, queue.By{Who: "ada"}, claims[1].ID); n != 1 || err != nil {
			t.Errorf("%d retried, %v", n, err)
		}
		if got := b.do(1); got[0] != claims[1].ID {
			t.Errorf("%s starts, not the one that was retried", got[0])
		}
		time.Sleep(31 * time.Minute)
		late := b.do(2)
		for i, want := range []int{6, 5} {
			if st, err := b.Get(b.ctx, late[i]); err != nil || st.Priority != want || st.State != queue.Done {
				t.Errorf("%+v, %v, want priority %d", st, err, want)
			}
		}
		time.Sleep(30 * time.Minute)
		if got := b.do(1); got[0] != claims[0].ID {
			t.Errorf("%s starts, not the one that was delayed", got[0])
		}
		b.expect(map[string]int{"job": 0, "delay": 0, "dead": 0, "res": len(ids) + 1})
	})
}

// TestResultOutlivesBlock keeps a result for no time at all: while its block is there it stays, because it says there that
// the job is over.
func TestResultOutlivesBlock(t *testing.T) {
	inBlocks(t, memory, queue.Policy{Retain: time.Second, Dedup: time.Second, Lease: time.Hour}, func(b *blocks) {
		ids := b.add(8, plain)
		held, err := b.Claim(b.ctx, "w", 1)
		must(t, err)
		done := b.do(len(ids) - 1)
		time.Sleep(time.Minute)
		for _, id := range done {
			if _, err := b.Discard(b.ctx, queue.By{Who: "ada"}, id); !errors.Is(err, queue.ErrState) {
				t.Errorf("a job that is done can be discarded: %v", err)
			}
		}
		must(t, b.Complete(b.ctx, held[0].Lease, queue.Result{Status: 200}))
		time.Sleep(time.Minute)
		b.expect(map[string]int{"block": 0, "res": 0, "over": 0})
		if _, err := b.Get(b.ctx, done[0]); !errors.Is(err, queue.ErrNotFound) {
			t.Errorf("what is forgotten is there: %v", err)
		}
	})
}

// TestBlockDamage damages a block, its head, and the record of which of its jobs are over. Nothing is done twice; what
// cannot be read is dead and says so.
func TestBlockDamage(t *testing.T) {
	for _, kind := range []string{"block", "head", "over"} {
		t.Run(kind, func(t *testing.T) {
			var disk *damagedDisk
			inBlocks(t, func() store.Bulk {
				disk = &damagedDisk{Store: mem.New()}
				return disk
			}, queue.Policy{Lease: time.Hour}, func(b *blocks) {
				ids := b.add(12, plain)
				var done []queue.ID
				for len(b.keys("over")) == 0 || len(done) < 5 {
					done = append(done, b.do(1)...)
				}
				must(t, b.Close())
				var left []queue.ID
				for _, id := range ids {
					if !slices.Contains(done, id) {
						left = append(left, id)
					}
				}
				keys := b.keys(kind)
				disk.key = keys[len(keys)-1]
				b.begin()
				time.Sleep(time.Second)
				if kind == "block" {
					buried(b, left)
					return
				}
				got := b.do(len(left))
				for _, id := range left {
					if !slices.Contains(got, id) {
						t.Errorf("%s does not start", id)
					}
				}
				if st, err := b.Stats(b.ctx); err != nil || st.Queued+st.Running+st.Dead != 0 {
					t.Errorf("%+v, %v", st, err)
				}
			})
		})
	}
}

// buried wants each of ids started, or dead and saying why, and an operator able to discard those.
func buried(b *blocks, ids []queue.ID) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, time.Minute)
	defer cancel()
	started := 0
	for {
		claims, err := b.Claim(ctx, "w", 10)
		if err != nil {
			break
		}
		started += len(claims)
	}
	dead, err := b.List(b.ctx, queue.Dead, queue.ID{}, 100)
	must(b.t, err)
	if len(dead) == 0 || len(dead)+started != len(ids) {
		b.t.Errorf("%d are dead and %d were started, of %d", len(dead), started, len(ids))
	}
	for _, st := range dead {
		if !strings.Contains(st.Why, "cannot be read") {
			b.t.Errorf("%+v", st)
		}
		if n, err := b.Discard(b.ctx, queue.By{Who: "ada"}, st.ID); n != 1 || err != nil {
			b.t.Errorf("%d discarded, %v", n, err)
		}
	}
}

// TestNameIsTaken: a job whose block draws the name of one that is there gets another, and is accepted.
func TestNameIsTaken(t *testing.T) {
	bubble(t, queue.Policy{}, func(p *pair) {
		drawn := 0
		names := []queue.ID{queue.NewID(time.Now()), queue.NewID(time.Now())}
		e := engine(p.T, p.store, "edge-1", "")
		e.PackFrom(1)
		e.Names(func(time.Time) queue.ID {
			drawn++
			return names[drawn/3] // the second job draws the first one's once
		})
		q, err := e.Open(p.ctx, shop, p.p)
		must(t, err)
		defer func() { must(t, e.Close()) }()
		synctest.Wait()
		first, second := p.enqueue(q, ""), p.enqueue(q, "")
		if drawn != 3 || p.state(q, first) != queue.Queued || p.state(q, second) != queue.Queued {
			t.Errorf("%d names drawn, %s is %s, %s is %s", drawn, first, p.state(q, first), second, p.state(q, second))
		}
	})
}
