package jetstream_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	nats "github.com/nats-io/nats.go/jetstream"

	"semper"
	"semper/queue"
	"semper/queue/jetstream"
	"semper/queue/jetstream/natstest"
	"semper/queue/queuetest"
)

// settings are for a server, with a stream of its own.
func settings(s *natstest.Server, stream string) jetstream.Settings {
	return jetstream.Settings{Servers: []string{s.URL}, Monitor: []string{s.Monitor}, Stream: stream, MaxBytes: 256 << 20}
}

// real is an engine with what it needs to begin again.
type real struct {
	*jetstream.Engine
	settings jetstream.Settings
	o        jetstream.Options
}

func connect(t testing.TB, s jetstream.Settings, o jetstream.Options) *real {
	t.Helper()
	o.Log, o.Patience = quiet(), 30*time.Second // many engineers' tests on two cores
	e, err := jetstream.New(s, o)
	must(t, err)
	ready(t, e)
	return &real{e, s, o}
}

func ready(t testing.TB, e *jetstream.Engine) {
	t.Helper()
	_, err := e.Ready(t.Context())
	must(t, err)
}

// roomy has place for the streams of all tests.
const roomy = "sync_interval: always\nmax_file_store: 64GB\nmax_memory_store: 64MB"

// TestContract runs the contract over a real server.
func TestContract(t *testing.T) {
	t.Parallel()
	server := natstest.Start(t, natstest.Config{JetStream: roomy})
	var n atomic.Int64
	queuetest.Run(t, queuetest.Harness{
		Schedules: 3,
		Open: func(t testing.TB) queue.Engine {
			return connect(t, settings(server, fmt.Sprint("q", n.Add(1))), jetstream.Options{ID: "edge-1", Bodies: t.TempDir()})
		},
		Reopen: func(t testing.TB, e queue.Engine) queue.Engine {
			old := e.(*real)
			must(t, old.Close())
			return connect(t, old.settings, old.o)
		},
	})
}

// tally is what clients were told and what was done, by job.
type tally struct {
	acked     map[string]bool
	did, done map[string]int
	count     int // acknowledged in this life
}

func (y *tally) note(line string) {
	switch word, id, _ := strings.Cut(line, " "); word {
	case "ack":
		y.acked[id] = true
		y.count++
	case "did":
		y.did[id]++
	case "done":
		y.done[id]++
	}
}

// TestKilled kills the edge and the nats-server, with kill -9, under load: what was acknowledged reaches one terminal state.
func TestKilled(t *testing.T) {
	t.Parallel()
	server := natstest.Start(t, natstest.Config{})
	y := &tally{acked: map[string]bool{}, did: map[string]int{}, done: map[string]int{}}
	const kills = 4
	for i := range kills {
		edge := start(t, server.URL, server.Monitor, fmt.Sprint("life", i, "-"))
		y.count = 0
		for killed := 0; y.count < 60+20*i; {
			line, ok := <-edge.lines
			if !ok {
				t.Fatal("the edge ended by itself")
			}
			y.note(line)
			if y.count >= 20*(killed+1) && killed < 2 {
				server.Kill()
				server.Start()
				killed++
			}
		}
		for _, line := range edge.kill() {
			y.note(line)
		}
	}
	e := connect(t, settings(server, ""), jetstream.Options{ID: "edge"})
	defer e.Close()
	q, err := e.Open(t.Context(), shop, rules)
	must(t, err)
	finish(t, q)
	terminal := map[string]int{}
	for _, s := range queue.States {
		all, err := q.List(t.Context(), s, queue.ID{}, 1_000_000)
		must(t, err)
		for _, j := range all {
			terminal[j.ID.String()]++
			if s != queue.Done {
				t.Errorf("%s is %s", j.ID, s)
			}
		}
	}
	for id := range y.acked {
		if terminal[id] != 1 {
			t.Errorf("%s was acknowledged and is in %d terminal states", id, terminal[id])
		}
	}
	for id, n := range y.done {
		if n != 1 || y.did[id] == 0 || terminal[id] != 1 {
			t.Errorf("%s was completed %d times, done %d times", id, n, y.did[id])
		}
	}
	// One job per life may have been accepted without its client hearing of it.
	if n := len(terminal) - len(y.acked); n < 0 || n > kills {
		t.Errorf("%d jobs are there, %d were acknowledged", len(terminal), len(y.acked))
	}
	t.Logf("%d acknowledged, %d there, over %d kills of edges and %d of servers", len(y.acked), len(terminal), kills, 2*kills)
}

// finish does what is left.
func finish(t *testing.T, q queue.Queue) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	for {
		s, err := q.Stats(ctx)
		must(t, err)
		if s.Queued+s.Delayed+s.Running == 0 {
			return
		}
		short, cancel := context.WithTimeout(ctx, 100*time.Millisecond)
		claims, _ := q.Claim(short, "last", 100)
		cancel()
		for _, c := range claims {
			if err := q.Complete(ctx, c.Lease, queue.Result{Status: 200}); err != nil && !errors.Is(err, queue.ErrLeaseLost) { // a busy machine: it comes again
				t.Fatal(err)
			}
		}
	}
}

// least is a user who may do no more than docs/guides/queue-engines.md says.
const least = `accounts { A { jetstream: enabled, users: [ { user: u, password: p, permissions: {
	publish: ["two.>", "$JS.API.STREAM.*.two", "$JS.API.DIRECT.GET.two"], subscribe: ["two.>", "_INBOX.>"] } } ] } }
no_auth_user: u`

// TestTwoProcesses has one accept and the other do, and a pause by one hold for the other, as a user with few rights.
func TestTwoProcesses(t *testing.T) {
	t.Parallel()
	server := natstest.Start(t, natstest.Config{Server: least})
	dir := t.TempDir()
	works := connect(t, settings(server, "two"), jetstream.Options{ID: "edge-1", Bodies: dir})
	defer works.Close()
	accepts := connect(t, settings(server, "two"), jetstream.Options{ID: "edge-2", Bodies: dir, Apart: true})
	defer accepts.Close()
	in, err := accepts.Open(t.Context(), shop, rules)
	must(t, err)
	out, err := works.Open(t.Context(), shop, rules)
	must(t, err)
	for i := range 20 {
		_, err := in.Enqueue(t.Context(), queue.Job{Request: queue.Request{Method: "POST", Target: "/", Body: []byte(fmt.Sprint(i))}})
		must(t, err)
	}
	first, err := out.Claim(t.Context(), "w", 1)
	must(t, err)
	pause, err := in.Pause(t.Context(), queue.By{Who: "ann"})
	must(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	if c, err := out.Claim(ctx, "w", 5); len(c) > 0 || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("after the pause at %d, %d jobs started: %v", pause.Revision, len(c), err)
	}
	must(t, in.Complete(t.Context(), first[0].Lease, queue.Result{Status: 200})) // by another than it was given to
	must(t, in.Resume(t.Context(), queue.By{Who: "ann"}))
	finish(t, out)
}

// TestRefused begins on a server that would lose jobs, and goes on when that is mended.
func TestRefused(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	server := natstest.Start(t, natstest.Config{Dir: dir, JetStream: "max_file_store: 8GB"})
	e, err := jetstream.New(settings(server, "q"), jetstream.Options{ID: "edge-1", Log: quiet(), Patience: 30 * time.Second})
	must(t, err)
	defer e.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
	defer cancel()
	_, err = e.Ready(ctx)
	if err == nil || !strings.Contains(err.Error(), "server n1: jetstream.sync_interval is 2m0s") || !strings.Contains(err.Error(), "write sync_interval: always") || semper.CodeOf(err) != semper.Invalid {
		t.Errorf("without sync_interval: %v", err)
	}
	if _, err := e.Open(t.Context(), shop, rules); semper.CodeOf(err) != semper.Invalid || semper.HintOf(err) == "" {
		t.Errorf("a queue there: %v", err)
	}
	js, err := nats.New(server.Connect())
	must(t, err)
	if _, err := js.Stream(t.Context(), "q"); !errors.Is(err, nats.ErrStreamNotFound) {
		t.Errorf("a stream was made on it: %v", err)
	}
	server.Kill()
	server.Configure(natstest.Durable)
	server.Start()
	ready(t, e)
	q, err := e.Open(t.Context(), shop, rules)
	must(t, err)
	_, err = q.Enqueue(t.Context(), queue.Job{Request: queue.Request{Method: "POST", Target: "/"}})
	must(t, err)
	// The other way round: what was good is no longer when the server is back, and then is again.
	gone, err := e.Ready(t.Context())
	must(t, err)
	server.Kill()
	server.Configure("max_file_store: 8GB")
	server.Start()
	<-gone
	if _, err = q.Enqueue(t.Context(), queue.Job{Request: queue.Request{Method: "POST", Target: "/"}}); err == nil {
		t.Error("a job was accepted on a server that no longer syncs")
	}
	server.Kill()
	server.Configure(natstest.Durable)
	server.Start()
	ready(t, e)
	q, err = e.Open(t.Context(), shop, rules)
	must(t, err)
	finish(t, q)
}

// TestForgotten has the stream disappear, and another take its place, between two lives of an engine.
func TestForgotten(t *testing.T) {
	t.Parallel()
	server := natstest.Start(t, natstest.Config{})
	dir := t.TempDir()
	s := settings(server, "q")
	o := jetstream.Options{ID: "edge-1", Bodies: dir}
	e := connect(t, s, o)
	q, err := e.Open(t.Context(), shop, rules)
	must(t, err)
	_, err = q.Enqueue(t.Context(), queue.Job{Request: queue.Request{Method: "POST", Target: "/"}})
	must(t, err)
	must(t, e.Close())
	js, err := nats.New(server.Connect())
	must(t, err)
	must(t, js.DeleteStream(t.Context(), "q"))
	refused := func(what, says string) {
		t.Helper()
		e, err := jetstream.New(s, jetstream.Options{ID: "edge-1", Bodies: dir, Log: quiet(), Patience: 30 * time.Second})
		must(t, err)
		defer e.Close()
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
		defer cancel()
		if _, err := e.Ready(ctx); semper.CodeOf(err) != semper.Tampered || !strings.Contains(err.Error(), says) || !strings.Contains(semper.HintOf(err), "jetstream.json") {
			t.Errorf("%s: %v", what, err)
		}
	}
	refused("a stream that was deleted", "gone from the server")
	_, err = js.CreateStream(t.Context(), nats.StreamConfig{Name: "q", Subjects: []string{"q.log"}, Discard: nats.DiscardNew, MaxBytes: 256 << 20, AllowDirect: true})
	must(t, err)
	refused("another in its place", "another of this name")
	must(t, os.Remove(filepath.Join(dir, "jetstream.json"))) // as the hint says
	e = connect(t, s, o)
	defer e.Close()
	_, err = e.Open(t.Context(), shop, rules)
	must(t, err)
}
