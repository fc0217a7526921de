package etcd_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
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

// countingStore counts the requests of jobs that are read.
type countingStore struct {
	*mem.Store
	read atomic.Int64
}

func (s *countingStore) Fetch(ctx context.Context, keys ...string) ([]semper.Item, error) {
	for _, key := range keys {
		if strings.Contains(key, "/job/") {
			s.read.Add(1)
		}
	}
	return s.Store.Fetch(ctx, keys...)
}

func (s *countingStore) Scan(ctx context.Context, ranges []store.Range, visit func(semper.Item) error) (int64, error) {
	return s.Store.Scan(ctx, ranges, func(it semper.Item) error {
		if strings.Contains(it.Key, "/job/") && it.Value != nil {
			s.read.Add(1)
		}
		return visit(it)
	})
}

func (s *countingStore) pages(t *testing.T) (n int) {
	t.Helper()
	_, err := s.Scan(t.Context(), []store.Range{{Prefix: "q/" + shop.String() + "/index/", Keys: true}}, func(semper.Item) error { n++; return nil })
	must(t, err)
	return n
}

// TestIndex begins again with a backlog: nothing of it is read but pages, it goes on in the order it had, with everything
// deciding needs, and the pages go when their jobs have gone.
func TestIndex(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &countingStore{Store: mem.New()}
		p := queue.Policy{}
		life := 0
		begin := func() process {
			life++
			e := engine(t, s, fmt.Sprint("edge-", life), "")
			q, err := e.Open(t.Context(), shop, p)
			must(t, err)
			synctest.Wait()
			return process{e, q}
		}
		q := begin()
		const n = 5000 // more than a page
		var want, late, expiring []queue.ID
		ranks := map[queue.ID]int{}
		for i := range n {
			j := queue.Job{Key: fmt.Sprint("k", i), Priority: i%3 - 1, Request: queue.Request{Method: "POST", Target: "/", Body: []byte(fmt.Sprint(i))}}
			switch i % 1000 {
			case 1:
				j.NotBefore = time.Now().Add(2 * time.Minute)
			case 2:
				j.Expires = time.Now().Add(time.Minute)
			}
			r, err := q.Enqueue(t.Context(), j)
			must(t, err)
			ranks[r.ID] = -j.Priority
			switch i % 1000 {
			case 1:
				late = append(late, r.ID)
			case 2:
				expiring = append(expiring, r.ID)
			default:
				want = append(want, r.ID)
			}
		}
		for _, ids := range [][]queue.ID{want, late} {
			slices.SortStableFunc(ids, func(a, b queue.ID) int { return ranks[a] - ranks[b] })
		}
		time.Sleep(3 * time.Second)
		before, err := q.Stats(t.Context())
		must(t, err)
		if s.pages(t) < 2 {
			t.Fatalf("%d pages of %d jobs", s.pages(t), n)
		}
		must(t, q.Close())

		s.read.Store(0)
		q = begin()
		if got := s.read.Load(); got != 0 {
			t.Errorf("%d requests were read to begin again", got)
		}
		after, err := q.Stats(t.Context())
		must(t, err)
		if before.Dispatcher, after.Dispatcher = "", ""; after != before {
			t.Errorf("%+v, and before %+v", after, before)
		}
		time.Sleep(time.Minute)
		var got []queue.ID
		finish := func(count int) {
			for len(got) < count {
				claims, err := q.Claim(t.Context(), "w", 128)
				must(t, err)
				for _, c := range claims {
					got = append(got, c.ID)
					must(t, q.Complete(t.Context(), c.Lease, queue.Result{Status: 200}))
				}
			}
		}
		finish(len(want))
		if !slices.Equal(got, want) {
			t.Error("they do not start in the order they had")
		}
		for _, id := range expiring {
			if st, err := q.Wait(t.Context(), id); err != nil || st.State != queue.Expired {
				t.Errorf("%s: %s, %v", id, st.State, err)
			}
		}
		time.Sleep(2 * time.Minute)
		got = nil
		finish(len(late))
		if !slices.Equal(got, late) {
			t.Error("those that were to start later did not")
		}
		time.Sleep(10 * time.Second)
		if pages := s.pages(t); pages != 0 {
			t.Errorf("%d pages are left of nothing", pages)
		}
		must(t, errors.Join(q.Close(), s.Close()))
	})
}
