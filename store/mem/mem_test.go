package mem_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"

	"go.uber.org/goleak"

	"semper"
	"semper/store"
	"semper/store/mem"
	"semper/store/storetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestContract(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(*testing.T) semper.Store { return mem.New() })
}

func put(t *testing.T, s *mem.Store, key, value string) int64 {
	t.Helper()
	rev, err := s.Commit(t.Context(), semper.Txn{Then: []semper.Write{{Key: key, Value: []byte(value)}}})
	if err != nil {
		t.Fatal(err)
	}
	return rev
}

func TestRevisionsRiseByOne(t *testing.T) {
	t.Parallel()
	s := mem.New()
	defer s.Close()
	if _, rev, err := s.List(t.Context(), ""); rev != 1 || err != nil {
		t.Errorf("an empty store is at %d, %v", rev, err)
	}
	for want := int64(2); want < 5; want++ {
		if got := put(t, s, "a", "1"); got != want {
			t.Errorf("revision %d, want %d", got, want)
		}
	}
	if rev, err := s.Commit(t.Context(), semper.Txn{Then: []semper.Write{{Key: "x", Delete: true}}}); rev != 4 || err != nil {
		t.Errorf("a commit that changes nothing gives %d, %v", rev, err)
	}
}

func TestCompactedHistoryClosesTheWatch(t *testing.T) {
	t.Parallel()
	s := mem.New()
	defer s.Close()
	r1 := put(t, s, "a", "1")
	put(t, s, "a", "2")
	r3 := put(t, s, "a", "3")
	s.Compact(r1 + 1)
	w, err := s.Watch(t.Context(), "", r1)
	if err != nil {
		t.Fatal(err)
	}
	if _, open := <-w; open {
		t.Error("a watch below the compacted revision gives changes")
	}
	w, err = s.Watch(t.Context(), "", r1+1)
	if err != nil {
		t.Fatal(err)
	}
	if batch := <-w; len(batch) != 1 || batch[0].Version != r3 {
		t.Errorf("got %v, want the change of %d", batch, r3)
	}
}

func TestDisconnectClosesWatchesOnly(t *testing.T) {
	t.Parallel()
	s := mem.New()
	defer s.Close()
	l, err := s.Lead(t.Context(), "role", "me")
	if err != nil {
		t.Fatal(err)
	}
	w, err := s.Watch(t.Context(), "", s.Revision())
	if err != nil {
		t.Fatal(err)
	}
	s.Disconnect()
	if _, open := <-w; open {
		t.Error("the watch gives changes")
	}
	if _, err := s.Commit(t.Context(), semper.Txn{If: []semper.Condition{l.Fence()}}); err != nil {
		t.Errorf("the leadership is over: %v", err)
	}
}

func TestInABubble(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := mem.New()
		ctx, cancel := context.WithCancel(t.Context())
		first, err := s.Lead(ctx, "role", "a")
		if err != nil {
			t.Fatal(err)
		}
		led := make(chan semper.Leadership)
		go func() {
			l, err := s.Lead(t.Context(), "role", "b")
			if err != nil {
				t.Error(err)
			}
			led <- l
		}()
		w, err := s.Watch(t.Context(), "app/", 0)
		if err != nil {
			t.Fatal(err)
		}
		synctest.Wait() // only returns when all of the store's goroutines wait durably
		select {
		case <-led:
			t.Fatal("two leaders")
		default:
		}
		cancel()
		second := <-led
		if _, err := s.Commit(t.Context(), semper.Txn{If: []semper.Condition{first.Fence()}}); !errors.Is(err, semper.ErrConflict) {
			t.Errorf("the old fence: %v", err)
		}
		rev, err := s.Commit(t.Context(), semper.Txn{If: []semper.Condition{second.Fence()}, Then: []semper.Write{{Key: "app/x", Value: []byte("1")}}})
		if err != nil {
			t.Fatal(err)
		}
		if batch := <-w; len(batch) != 1 || batch[0].Version != rev {
			t.Errorf("the watch gives %v", batch)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
}

func TestBulk(t *testing.T) {
	t.Parallel()
	storetest.RunBulk(t, func(*testing.T) store.Bulk { return mem.New() })
}
