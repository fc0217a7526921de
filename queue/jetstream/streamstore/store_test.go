package streamstore_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"semper"
	"semper/queue/jetstream/natstest"
	"semper/queue/jetstream/streamstore"
	"semper/store"
	"semper/store/storetest"
)

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// stream makes the stream of a test.
func stream(t testing.TB, nc *nats.Conn, name string) jetstream.Stream {
	t.Helper()
	js, err := jetstream.New(nc)
	must(t, err)
	s, err := js.CreateStream(t.Context(), jetstream.StreamConfig{Name: name, Subjects: []string{streamstore.Subject(name)}, Storage: jetstream.FileStorage,
		Discard: jetstream.DiscardNew, MaxBytes: 256 << 20, AllowDirect: true})
	must(t, err)
	return s
}

// open is a store that the caller closes, with a connection of its own.
func open(t testing.TB, server *natstest.Server, o streamstore.Options) *streamstore.Store {
	t.Helper()
	if o.Patience == 0 {
		o.Patience = 30 * time.Second // many engineers' tests on two cores
	}
	if o.Log == nil {
		o.Log = slog.New(slog.NewTextHandler(io.Discard, nil))
	}
	s, err := streamstore.New(server.Connect(), o)
	must(t, err)
	return s
}

func put(t testing.TB, s *streamstore.Store, kv ...string) int64 {
	t.Helper()
	var txn semper.Txn
	for i := 0; i < len(kv); i += 2 {
		txn.Then = append(txn.Then, semper.Write{Key: kv[i], Value: []byte(kv[i+1])})
	}
	rev, err := s.Commit(t.Context(), txn)
	must(t, err)
	return rev
}

// contents are all items in short.
func contents(t testing.TB, s *streamstore.Store) string {
	t.Helper()
	items, rev, err := s.List(t.Context(), "")
	must(t, err)
	var b strings.Builder
	for _, it := range items {
		fmt.Fprintf(&b, "%s=%.20s@%d ", it.Key, it.Value, it.Version)
	}
	return fmt.Sprintf("%sat %d", b.String(), rev)
}

// TestContract is the contract of stores, by many clients of one stream.
func TestContract(t *testing.T) {
	t.Parallel()
	server := natstest.Start(t, natstest.Config{Server: "max_payload: 2MB"})
	stream(t, server.Connect(), "contract")
	o := streamstore.Options{Stream: "contract"}
	storetest.Run(t, func(t *testing.T) semper.Store { return open(t, server, o) })
	storetest.RunBulk(t, func(t *testing.T) store.Bulk { return open(t, server, o) })
}

// TestTwo has two processes on one stream, of which each decides by what the other has written.
func TestTwo(t *testing.T) {
	t.Parallel()
	server := natstest.Start(t, natstest.Config{})
	stream(t, server.Connect(), "two")
	a, b := open(t, server, streamstore.Options{Stream: "two"}), open(t, server, streamstore.Options{Stream: "two"})
	defer a.Close()
	defer b.Close()
	put(t, a, "n", "0")
	const each = 40
	var wg sync.WaitGroup
	for _, s := range []*streamstore.Store{a, b} {
		wg.Go(func() {
			for range each {
				for {
					it, err := s.Get(t.Context(), "n")
					if err != nil {
						t.Error(err)
						return
					}
					_, err = s.Commit(t.Context(), semper.Txn{If: []semper.Condition{{Key: "n", Version: it.Version}}, Then: []semper.Write{{Key: "n", Value: append(it.Value, 'x')}}})
					if err == nil {
						break
					}
					if !errors.Is(err, semper.ErrConflict) {
						t.Error(err)
						return
					}
				}
			}
		})
	}
	wg.Wait()
	it, err := a.Get(t.Context(), "n")
	must(t, err)
	if len(it.Value) != 2*each+1 {
		t.Errorf("%d increments of %d are there", len(it.Value)-1, 2*each)
	}
	if x, y := contents(t, a), contents(t, b); x != y {
		t.Errorf("one has %s, the other %s", x, y)
	}
}

// TestCompaction writes much and keeps little: the stream stays small, and whoever begins, or was behind, has the same.
func TestCompaction(t *testing.T) {
	t.Parallel()
	server := natstest.Start(t, natstest.Config{})
	js := stream(t, server.Connect(), "small")
	o := streamstore.Options{Stream: "small", Slack: 100_000}
	a := open(t, server, o)
	defer a.Close()
	late := open(t, server, o)
	defer late.Close()
	contents(t, late) // it is read, and empty
	put(t, a, "keep/1", strings.Repeat("k", 500), "keep/2", "small", "keep/3", "")
	watch, err := late.Watch(t.Context(), "keep/", 1)
	must(t, err)
	if first := <-watch; len(first) != 3 {
		t.Errorf("the watch gives %v", first)
	}
	for i := range 400 {
		put(t, a, fmt.Sprint("job/", i%3), strings.Repeat("v", 1000+i))
	}
	info, err := js.Info(t.Context())
	must(t, err)
	if info.State.FirstSeq < 100 || info.State.Bytes > 300_000 {
		t.Errorf("the stream begins at %d and has %d bytes", info.State.FirstSeq, info.State.Bytes)
	}
	fresh := open(t, server, o)
	defer fresh.Close()
	want := contents(t, a)
	for name, s := range map[string]*streamstore.Store{"a fresh one": fresh, "the other": late} {
		if got := contents(t, s); got != want {
			t.Errorf("%s has %s, want %s", name, got, want)
		}
	}
	if rev := put(t, fresh, "more", "1"); rev != put(t, a, "more", "2")-1 {
		t.Errorf("revisions do not go on at %d", rev)
	}
}

// TestKilled kills the server under load: what was acknowledged is there, once, and nothing else is but what was asked for.
func TestKilled(t *testing.T) {
	t.Parallel()
	server := natstest.Start(t, natstest.Config{})
	stream(t, server.Connect(), "killed")
	s := open(t, server, streamstore.Options{Stream: "killed"})
	defer s.Close()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	const writers, kills = 4, 4
	counts := make([]int, writers)
	progress := make(chan struct{}, 1)
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			key := fmt.Sprint("w", w)
			for version := int64(0); ctx.Err() == nil; {
				rev, err := s.Commit(t.Context(), semper.Txn{If: []semper.Condition{{Key: key, Version: version}},
					Then: []semper.Write{{Key: key, Value: []byte("1")}, {Key: fmt.Sprintf("%s/%04d", key, counts[w]), Value: []byte("x")}}})
				if err != nil { // a conflict would say that an unanswered one was applied twice, or forgotten
					t.Errorf("%s after %d: %v", key, counts[w], err)
					return
				}
				version = rev
				counts[w]++
				select {
				case progress <- struct{}{}:
				default:
				}
			}
		})
	}
	for range kills {
		for range 20 {
			<-progress
		}
		server.Kill()
		server.Start()
	}
	cancel()
	wg.Wait()
	fresh := open(t, server, streamstore.Options{Stream: "killed", AtLeast: s.Sequence()})
	defer fresh.Close()
	for w, n := range counts {
		items, _, err := fresh.List(t.Context(), fmt.Sprintf("w%d/", w))
		must(t, err)
		if len(items) != n {
			t.Errorf("writer %d was told of %d commits, and %d are there", w, n, len(items))
		}
	}
	if x, y := contents(t, s), contents(t, fresh); x != y {
		t.Error("who lived through it has another state than who begins anew")
	}
}

// TestAway: without a server calls end after their patience, and go on when it is back.
func TestAway(t *testing.T) {
	t.Parallel()
	server := natstest.Start(t, natstest.Config{})
	stream(t, server.Connect(), "away")
	s := open(t, server, streamstore.Options{Stream: "away", Patience: 200 * time.Millisecond})
	defer s.Close()
	patient := open(t, server, streamstore.Options{Stream: "away"})
	defer patient.Close()
	put(t, patient, "a", "1")
	server.Kill()
	_, err := s.Commit(t.Context(), semper.Txn{Then: []semper.Write{{Key: "a", Value: []byte("2")}}})
	_, err2 := s.Get(t.Context(), "a")
	for _, err := range []error{err, err2} {
		if semper.CodeOf(err) != semper.Unavailable || semper.HintOf(err) == "" {
			t.Errorf("without a server: %v", err)
		}
	}
	server.Start()
	put(t, patient, "b", "3")
	if got := contents(t, patient); !strings.Contains(got, "b=3") {
		t.Errorf("afterwards there is %s", got)
	}
}

// TestLoss: a stream that is not whole is refused, and says where.
func TestLoss(t *testing.T) {
	t.Parallel()
	server := natstest.Start(t, natstest.Config{})
	js := stream(t, server.Connect(), "loss")
	write := func() {
		s := open(t, server, streamstore.Options{Stream: "loss"})
		defer s.Close()
		for i := range 5 {
			put(t, s, fmt.Sprint("k", i), strings.Repeat("x", 100))
		}
	}
	refused := func(what, says string, least uint64) {
		t.Helper()
		s := open(t, server, streamstore.Options{Stream: "loss", AtLeast: least, Doubt: 100 * time.Millisecond})
		defer s.Close()
		<-s.Failed()
		_, err := s.Get(t.Context(), "k1")
		_, err2 := s.Commit(t.Context(), semper.Txn{Then: []semper.Write{{Key: "k", Value: []byte("2")}}})
		for _, err := range []error{err, err2} {
			if semper.CodeOf(err) != semper.Tampered || !strings.Contains(err.Error(), says) || semper.HintOf(err) == "" {
				t.Errorf("%s: %v", what, err)
			}
		}
	}
	write()
	s := open(t, server, streamstore.Options{Stream: "loss", AtLeast: 6, Patience: 100 * time.Millisecond})
	if _, err := s.Get(t.Context(), "k1"); semper.CodeOf(err) != semper.Unavailable || s.Err() != nil {
		t.Errorf("what may be a leader of before is believed: %v", err)
	}
	must(t, s.Close())
	refused("a tail that was acknowledged and is gone", "acknowledged", 6)
	must(t, js.SecureDeleteMsg(t.Context(), 3))
	refused("a hole", "message before it is 2", 0)
	must(t, js.Purge(t.Context(), jetstream.WithPurgeSequence(4)))
	refused("a head that was purged by others", "were to be purged", 0)
	must(t, js.Purge(t.Context()))
	refused("a stream that was emptied", "were to be purged", 0)
}

// TestForeign: what somebody else publishes there is found out.
func TestForeign(t *testing.T) {
	t.Parallel()
	server := natstest.Start(t, natstest.Config{})
	nc := server.Connect()
	stream(t, nc, "foreign")
	s := open(t, server, streamstore.Options{Stream: "foreign"})
	defer s.Close()
	put(t, s, "a", "1")
	_, err := nc.Request(streamstore.Subject("foreign"), []byte("hello"), time.Minute)
	must(t, err)
	if _, err := s.Get(t.Context(), "a"); semper.CodeOf(err) != semper.Tampered || !strings.Contains(err.Error(), "message 2") {
		t.Errorf("got %v", err)
	}
}
