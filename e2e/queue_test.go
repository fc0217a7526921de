package e2e_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"semper"
	"semper/api"
	"semper/queue"
)

// outbox sends requests that are done later, until stop; what was accepted it has by id.
type outbox struct {
	mu       sync.Mutex
	accepted []string
	stop     func()
}

func (s *server) outbox(clients int) *outbox {
	o := &outbox{}
	var over atomic.Bool
	var wg sync.WaitGroup
	for c := range clients {
		wg.Go(func() {
			for i := 0; !over.Load(); i++ {
				a := s.sent("POST", "/jobs/a", fmt.Sprintf("%d of %d", i, c))
				if a.status != http.StatusAccepted {
					s.t.Errorf("a request while accepting goes on: %s", a)
					return
				}
				o.mu.Lock()
				o.accepted = append(o.accepted, path.Base(a.header.Get("Location")))
				o.mu.Unlock()
			}
		})
	}
	o.stop = func() { over.Store(true); wg.Wait() }
	return o
}

func (o *outbox) ids() []string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return slices.Clone(o.accepted)
}

// queueOf is how the queue of the app stands.
func (s *server) queueOf() api.QueueInfo {
	s.t.Helper()
	of := queue.Service{App: "bar", Environment: semper.DefaultEnvironment, Service: "web"}
	return asked(s, func(ctx context.Context, c *api.Client) (api.QueueInfo, error) { return c.Queue(ctx, of) })
}

func effectsIn(t *testing.T, file string) []string {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return strings.Fields(string(b))
}

// sample is the value of the one line of the metrics that begins with name and has what is wanted of it.
func (s *server) sample(name string, has ...string) float64 {
	s.t.Helper()
	m := asked(s, func(ctx context.Context, c *api.Client) (api.Exposition, error) { return c.Metrics(ctx, "", "") })
	var found []float64
	for line := range strings.Lines(string(m.Text)) {
		if !strings.HasPrefix(line, name+"{") || slices.ContainsFunc(has, func(w string) bool { return !strings.Contains(line, w) }) {
			continue
		}
		v, err := strconv.ParseFloat(strings.TrimSpace(line[strings.LastIndexByte(line, ' '):]), 64)
		if err != nil {
			s.t.Fatal(err)
		}
		found = append(found, v)
	}
	if len(found) != 1 {
		s.t.Fatalf("%d samples of %s %q in\n%s", len(found), name, has, m.Text)
	}
	return found[0]
}

// TestQueuesUnderLoad walks what a person does about a queue, while requests come: its pause is strict, and holds over a kill -9 of the
// process that hands out jobs; nothing is lost or done twice by it; and the numbers are those of what happened.
func TestQueuesUnderLoad(t *testing.T) {
	t.Parallel()
	s := start(t)
	dir, effects := asyncApp(t)
	yaml := filepath.Join(dir, "semper.yaml")
	b, err := os.ReadFile(yaml)
	if err != nil {
		t.Fatal(err)
	}
	write(t, yaml, strings.Replace(string(b), "attempts: 100", "attempts: 2", 1), 0o644)
	s.must("deploy", "-f", dir)
	eventually(t, "a request is accepted", func() bool { return s.sent("POST", "/jobs/a", "first").status == http.StatusAccepted })
	o := s.outbox(3)
	defer func() { o.stop() }()
	beyond := func(n int, what string) {
		t.Helper()
		eventually(t, what, func() bool { return len(o.ids()) >= n })
	}
	beyond(20, "requests are accepted")

	s.must("queue", "pause", "web", "--why", "the provider is down", "--drain")
	acknowledged := time.Now()
	was := effectsIn(t, effects)
	beyond(len(o.ids())+30, "requests are accepted while the queue is paused")
	if now := effectsIn(t, effects); len(now) != len(was) {
		t.Fatalf("%d jobs started after the pause was acknowledged", len(now)-len(was))
	}
	o.stop()
	s.watched(o)
	if err := syscall.Kill(s.part("queue"), syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	o = s.more(o)
	o.stop()
	if now := effectsIn(t, effects); len(now) != len(was) {
		t.Fatalf("%d jobs started after a kill -9 in a pause", len(now)-len(was))
	}
	resumed := time.Now()
	s.must("queue", "resume", "web", "--why", "it is back")
	eventually(t, "all is done", func() bool { q := s.queueOf(); return q.Queued+q.Delayed+q.Running == 0 })
	s.doneOnce(o.ids(), effectsIn(t, effects), acknowledged, resumed)
	s.deadLetters(t)
}

// more sends requests again, after those of o.
func (s *server) more(o *outbox) *outbox {
	s.t.Helper()
	eventually(s.t, "requests are accepted after a kill -9", func() bool { return s.sent("POST", "/jobs/a", "again").status == http.StatusAccepted })
	n := s.outbox(2)
	n.mu.Lock()
	n.accepted = append(n.accepted, o.ids()...)
	n.mu.Unlock()
	want := len(o.ids()) + 10
	eventually(s.t, "more are accepted", func() bool { return len(n.ids()) >= want })
	return n
}

// watched holds what list, show, metrics and the page tell against what the paused queue got.
func (s *server) watched(o *outbox) {
	s.t.Helper()
	accepted := float64(len(o.ids()) + 1) // and the first
	q := printed[api.QueueInfo](s, "queue", "show", "web", "-a", "bar")
	if q.Paused == nil || !q.Drained || q.Running != 0 || q.Activity == nil || float64(q.Activity.Total.Accepted) != accepted {
		s.t.Errorf("the queue is told as %+v, want %g accepted", q, accepted)
	}
	if got := s.sample("semper_queue_accepted_total", `semper_pool="bar/production/web"`); got != accepted {
		s.t.Errorf("%g are counted as accepted, want %g", got, accepted)
	}
	done, queued := s.sample("semper_queue_done_total"), s.sample("semper_queue_depth", `state="queued"`)
	if done+queued != accepted || s.sample("semper_queue_paused") != 1 {
		s.t.Errorf("%g done and %g queued of %g", done, queued, accepted)
	}
	eventually(s.t, "control knows as many", func() bool { return float64(s.queueOf().Queued) == queued }) // a second later
	if n := s.sample("semper_queue_job_duration_seconds_count"); n != done {
		s.t.Errorf("%g jobs took a time, and %g are done", n, done)
	}
	if out := s.must("queue", "list"); !strings.Contains(out, "drained") {
		s.t.Errorf("the list does not tell of the pause: %s", out)
	}
	for what, page := range map[string]string{"overview": s.page("/"), "app": s.page("/app/bar/production"), "queue": s.page("/queue/bar/production/web")} {
		if !strings.Contains(page, "paused, drained") {
			s.t.Errorf("the %s page does not tell of the pause", what)
		}
	}
}

// doneOnce: each accepted job is done once, and no attempt of any began in the pause.
func (s *server) doneOnce(accepted, effects []string, from, to time.Time) {
	s.t.Helper()
	times := map[string]int{}
	for _, id := range effects {
		times[id]++
	}
	for _, id := range accepted {
		if times[id] != 1 {
			s.t.Errorf("job %s had %d effects", id, times[id])
		}
	}
	var done []queue.Status
	if err := json.Unmarshal([]byte(s.must("queue", "show", "web", "--state", "done", "--limit", "1000", "--json")), &done); err != nil {
		s.t.Fatal(err)
	}
	if len(done) < len(accepted) {
		s.t.Errorf("%d jobs are done of %d", len(done), len(accepted))
	}
	for _, j := range done {
		for _, a := range j.Attempts {
			if a.Started.After(from) && a.Started.Before(to) {
				s.t.Errorf("attempt %d of %s began at %v, in the pause from %v to %v", a.Number, j.ID, a.Started, from, to)
			}
		}
	}
}

// deadLetters are found, looked into without a secret, tried again and taken out.
func (s *server) deadLetters(t *testing.T) {
	t.Helper()
	var ids []string
	for range 2 {
		a := s.sent("POST", "/jobs/bad?token=s3cret", "hello", "Authorization", "Bearer s3cret")
		ids = append(ids, path.Base(a.header.Get("Location")))
	}
	dead := func() []string { return strings.Fields(s.must("queue", "dlq", "web", "-o", "name")) }
	eventually(t, "both are dead", func() bool { return len(dead()) == 2 })
	if peek := s.must("queue", "peek", "web", ids[0]); strings.Contains(peek, "s3cret") || !strings.Contains(peek, "POST /jobs/bad?token=(hidden)") || !strings.Contains(peek, "hello") {
		t.Errorf("peek shows %s", peek)
	}
	if life := s.must("queue", "show", "web", ids[0]); !strings.Contains(life, "answered 500") {
		t.Errorf("its life is told as %s", life)
	}
	s.must("queue", "retry", "web", ids[0], "--why", "once more")
	eventually(t, "it is dead again", func() bool { return len(dead()) == 2 })
	s.must("queue", "discard", "web", ids[0], "--why", "it is of no use")
	s.must("queue", "discard", "web", "--all", "-y")
	if left := dead(); len(left) != 0 {
		t.Errorf("still dead: %v", left)
	}
	if a := s.sent("GET", "/.well-known/semper/requests/"+ids[0], ""); a.status != http.StatusGone {
		t.Errorf("who asks for a discarded job is told %s", a)
	}
	var did []string
	for _, d := range s.queueOf().Deeds {
		did = append(did, d.What)
	}
	if want := []string{"discard", "discard", "retry", "resume", "pause"}; !slices.Equal(did, want) {
		t.Errorf("on record are %v, want %v", did, want)
	}
	if r := s.cli("queue", "retry", "web", ids[0]); r.code == 0 {
		t.Error("a discarded job was queued again")
	}
}
