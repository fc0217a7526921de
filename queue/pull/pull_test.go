package pull_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"semper"
	"semper/queue"
	"semper/queue/mem"
	"semper/queue/pull"
)

const mail semper.PoolKey = "shop/production/mail"

// A bench is a desk before a queue in memory, with its API, in a bubble.
type bench struct {
	t     *testing.T
	queue queue.Queue
	desk  *pull.Desk
	api   *pull.Handler
	asked atomic.Int32
}

func newBench(t *testing.T, p queue.Policy) *bench {
	t.Helper()
	engine := mem.New()
	q, err := engine.Open(t.Context(), queue.Service{App: "shop", Environment: "production", Service: "mail"}, p)
	if err != nil {
		t.Fatal(err)
	}
	b := &bench{t: t, queue: q, desk: pull.NewDesk(mail, q, slog.New(slog.DiscardHandler))}
	b.api = pull.New(pull.Options{
		Who: func(r *http.Request) (pull.Instance, error) {
			id := r.Header.Get("From")
			if id == "" {
				return pull.Instance{}, &semper.Error{Code: semper.NotFound, Message: "nobody's"}
			}
			return instance(id), nil
		},
		Asked: func(context.Context, pull.Instance) { b.asked.Add(1) },
		Desk: func(k semper.PoolKey) *pull.Desk {
			if k == mail {
				return b.desk
			}
			return nil
		},
		Queue: func(k semper.PoolKey) (queue.Producer, queue.Settings, bool) {
			return q, queue.Settings{Policy: p}, k == mail
		},
		Log: slog.New(slog.DiscardHandler),
	})
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() { b.desk.Run(ctx) })
	t.Cleanup(func() {
		cancel()
		wg.Wait()
		b.desk.Close()
		if err := engine.Close(); err != nil {
			t.Error(err)
		}
	})
	return b
}

// instance is the one called id: "mail.r1.1".
func instance(id string) pull.Instance {
	parts := strings.Split(id, ".")
	return pull.Instance{ID: semper.InstanceID("shop/" + id), Incarnation: 1, App: "shop", Environment: "production", Service: parts[0], Release: semper.ReleaseName(parts[1])}
}

// table has the ready instances of releases by their arms, and those that are to leave until a time.
func table(epoch semper.Epoch, split *semper.Split, leaving map[string]time.Time, ids map[semper.Arm]string) semper.Table {
	t := semper.Table{Epoch: epoch}
	for arm, id := range ids {
		in := instance(id)
		p := semper.Pool{Key: mail.PoolOf(arm), App: "shop", Release: in.Release, Arm: arm, Backend: []semper.Backend{{ID: in.ID}}}
		if arm == semper.ArmStable {
			p.Key, p.Arm, p.Split = mail, "", split
		}
		t.Workers = append(t.Workers, p)
	}
	for id, until := range leaving {
		t.Draining = append(t.Draining, semper.Draining{App: "shop", Instances: []semper.InstanceID{instance(id).ID}, Request: until})
	}
	return t
}

func (b *bench) apply(t semper.Table) {
	b.t.Helper()
	p, ok := pull.PlanOf(t, mail)
	if !ok {
		b.t.Fatal("the table has no such service")
	}
	b.desk.Apply(p)
}

func (b *bench) enqueue(n int) {
	for i := range n {
		if _, err := b.queue.Enqueue(b.t.Context(), queue.Job{Request: queue.Request{Method: "POST", Target: "/", Body: []byte(fmt.Sprint(i))}}); err != nil {
			b.t.Error(err)
		}
	}
}

// ask is one request of an instance, and its answer.
func (b *bench) ask(who, target, body string, header ...string) (int, string) {
	b.t.Helper()
	r := httptest.NewRequest(http.MethodPost, target, strings.NewReader(body))
	r.Header.Set("From", who)
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	b.api.ServeHTTP(w, r)
	text, err := io.ReadAll(w.Result().Body)
	if err != nil {
		b.t.Fatal(err)
	}
	return w.Code, string(text)
}

// claim is the jobs that an instance is given.
func (b *bench) claim(who string, n, wait int) (int, []pull.Job) {
	b.t.Helper()
	status, text := b.ask(who, fmt.Sprintf("/v1/jobs/claim?max=%d&wait=%d", n, wait), "")
	var out pull.Jobs
	if status == http.StatusOK {
		if err := json.Unmarshal([]byte(text), &out); err != nil {
			b.t.Fatal(err)
		}
	}
	return status, out.Jobs
}

func (b *bench) end(who string, j pull.Job, what, body string) (int, string) {
	b.t.Helper()
	return b.ask(who, fmt.Sprintf("/v1/jobs/%s/%s?lease=%s", j.ID, what, j.Lease), body, "Content-Type", "text/plain")
}

func TestALifeOfAJobOverHTTP(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, queue.Policy{Lease: 10 * time.Second})
		b.apply(table(1, nil, nil, map[semper.Arm]string{semper.ArmStable: "mail.r1.1"}))
		if status, text := b.ask("web.r1.1", "/v1/jobs?to=mail&path=/welcome", "ann", "Content-Type", "text/plain", "Semper-Job-Priority", "3"); status != 202 || !strings.Contains(text, `"id"`) {
			t.Fatalf("%d %s", status, text)
		}
		status, jobs := b.claim("mail.r1.1", 5, 0)
		if status != 200 || len(jobs) != 1 || jobs[0].Body != "ann" || jobs[0].Target != "/welcome" || jobs[0].Attempt != 1 || jobs[0].Seconds != 10 || jobs[0].Header.Get("Content-Type") != "text/plain" {
			t.Fatalf("%d %+v", status, jobs)
		}
		j := jobs[0]
		if b.asked.Load() != 1 || b.desk.Held()["shop/mail.r1.1"] != 1 {
			t.Errorf("asked %d times, held %v", b.asked.Load(), b.desk.Held())
		}
		time.Sleep(8 * time.Second)
		if status, text := b.end("mail.r1.1", j, "extend", ""); status != 200 || !strings.Contains(text, `"seconds":10`) {
			t.Errorf("%d %s", status, text)
		}
		time.Sleep(8 * time.Second) // beyond the first lease
		if status, text := b.end("mail.r1.1", j, "complete", "sent"); status != 204 {
			t.Errorf("%d %s", status, text)
		}
		s, err := b.queue.Get(t.Context(), j.ID)
		if err != nil || s.State != queue.Done || string(s.Result.Body) != "sent" || s.Attempts[0].Worker != "shop/mail.r1.1" || len(b.desk.Held()) != 0 {
			t.Errorf("%+v %v, held %v", s, err, b.desk.Held())
		}
		if status, text := b.end("mail.r1.1", j, "complete", "again"); status != 409 || !strings.Contains(text, "lease has ended") {
			t.Errorf("late: %d %s", status, text)
		}
	})
}

func TestHowAttemptsEnd(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, queue.Policy{Lease: 10 * time.Second, MaxAttempts: 2})
		b.apply(table(1, nil, nil, map[semper.Arm]string{semper.ArmStable: "mail.r1.1"}))
		b.enqueue(1)
		_, jobs := b.claim("mail.r1.1", 1, 0)
		if status, _ := b.end("mail.r1.1", jobs[0], "release", ""); status != 204 {
			t.Fatalf("%d", status)
		}
		_, jobs = b.claim("mail.r1.1", 1, 1)
		if jobs[0].Attempt != 1 {
			t.Errorf("a job that was given back is at attempt %d", jobs[0].Attempt)
		}
		time.Sleep(11 * time.Second) // its lease ends
		if status, _ := b.end("mail.r1.1", jobs[0], "complete", ""); status != 409 {
			t.Errorf("an end that is late: %d", status)
		}
		time.Sleep(time.Second)
		if n := len(b.desk.Held()); n != 0 {
			t.Errorf("%d are held though their leases have ended", n)
		}
		_, jobs = b.claim("mail.r1.1", 1, 60)
		if status, text := b.end("mail.r1.1", jobs[0], "fail", `{"reason": "no such address", "final": true}`); status != 200 || !strings.Contains(text, `"dead"`) {
			t.Errorf("%d %s", status, text)
		}
		s, err := b.queue.Get(t.Context(), jobs[0].ID)
		if err != nil || s.State != queue.Dead || len(s.Attempts) != 2 || s.Attempts[1].Reason != "no such address" {
			t.Errorf("%+v %v", s, err)
		}
		var failed, assigned, gone uint64
		for _, c := range b.desk.Counts("queue-1") {
			failed, assigned, gone = failed+c.Failed, assigned+c.Assigned, gone+c.Gone
		}
		if assigned != 3 || failed != 2 || gone != 1 {
			t.Errorf("assigned %d, failed %d, gone %d", assigned, failed, gone)
		}
	})
}

func TestBadAskers(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, queue.Policy{MaxBody: 8})
		b.apply(table(1, nil, nil, map[semper.Arm]string{semper.ArmStable: "mail.r1.1"}))
		id := queue.NewID(time.Now()).String()
		for _, tc := range []struct {
			who, target, body string
			status            int
			says              string
		}{
			{"", "/v1/jobs/claim", "", 403, "whose process"},
			{"mail.r1.1", "/v1/jobs/claim?max=0", "", 400, "max=0"},
			{"mail.r1.1", "/v1/jobs/claim?wait=61", "", 400, "from 0 to 60"},
			{"mail.r1.1", "/v1/jobs/claim?raw=1&max=2", "", 400, "leave out max"},
			{"web.r1.1", "/v1/jobs/claim", "", 503, "has no queue"},
			{"mail.r1.1", "/v1/jobs", "x", 400, "to= is missing"},
			{"mail.r1.1", "/v1/jobs?to=web", "x", 503, `"web" of shop has no queue`},
			{"mail.r1.1", "/v1/jobs?to=mail&path=x", "x", 400, "begins with /"},
			{"mail.r1.1", "/v1/jobs?to=mail", "123456789", 413, "8 bytes"},
			{"mail.r1.1", "/v1/jobs/nonsense/complete?lease=1-1", "", 404, "no job's id"},
			{"mail.r1.1", "/v1/jobs/" + id + "/complete?lease=x", "", 400, "lease that came with"},
			{"mail.r1.1", "/v1/jobs/" + id + "/complete?lease=1-1", "", 409, "lease has ended"},
			{"mail.r1.1", "/v1/jobs/" + id + "/fail?lease=1-1", "broken", 400, "how it failed"},
			{"mail.r1.1", "/v1/jobs/" + id + "/eat?lease=1-1", "", 404, "complete, fail, release or extend"},
			{"mail.r1.1", "/v2/jobs", "", 404, "POST /v1/jobs/claim"},
		} {
			if status, text := b.ask(tc.who, tc.target, tc.body); status != tc.status || !strings.Contains(text, tc.says) && !strings.Contains(text, strings.ReplaceAll(tc.says, `"`, `\"`)) {
				t.Errorf("%s %s: %d %s", tc.who, tc.target, status, text)
			}
		}
	})
}

// A new release's worker waits until its release is connected, and the old one's is turned away from that moment on.
func TestTheTableSaysWhoMayTakeJobs(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, queue.Policy{})
		b.apply(table(1, nil, nil, map[semper.Arm]string{semper.ArmStable: "mail.r1.1"}))
		old := make(chan int, 1)
		go func() { status, _ := b.claim("mail.r1.1", 1, 60); old <- status }()
		next := make(chan int, 1)
		go func() { status, _ := b.claim("mail.r2.1", 1, 60); next <- status }()
		synctest.Wait()
		if status, _ := b.claim("mail.r2.1", 1, 1); status != 204 {
			t.Errorf("an instance that is not connected: %d", status)
		}
		b.apply(table(2, nil, map[string]time.Time{"mail.r1.1": time.Now().Add(time.Hour)}, map[semper.Arm]string{semper.ArmStable: "mail.r2.1"}))
		if status := <-old; status != 409 {
			t.Errorf("a claim of the old release that waited: %d", status)
		}
		b.enqueue(2)
		if status := <-next; status != 200 {
			t.Errorf("a claim of the new release that waited: %d", status)
		}
		if status, _ := b.claim("mail.r1.1", 1, 60); status != 409 {
			t.Errorf("the old release: %d", status)
		}
		if held := b.desk.Held(); held["shop/mail.r1.1"] != 0 || held["shop/mail.r2.1"] != 1 || b.desk.Epoch() != 2 {
			t.Errorf("%v at epoch %d", held, b.desk.Epoch())
		}
	})
}

// While a service is held nobody begins a job, and all go on at the hold's end, which the table has told in advance.
func TestNobodyBeginsAJobInAHold(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, queue.Policy{})
		b.enqueue(3)
		begin := time.Now()
		held := func(epoch semper.Epoch, h ...semper.Hold) semper.Table {
			t := table(epoch, nil, nil, map[semper.Arm]string{semper.ArmStable: "mail.r1.1"})
			for i := range t.Workers {
				t.Workers[i].Hold = h
			}
			return t
		}
		b.apply(held(1, semper.Hold{Writes: true, Since: begin, Until: begin.Add(10 * time.Second)}, semper.Hold{Since: begin, Until: begin.Add(time.Minute)}))
		if status, _ := b.claim("mail.r1.1", 1, 30); status != 204 {
			t.Errorf("in a hold: %d", status)
		}
		if status, _ := b.claim("mail.r1.1", 1, 60); status != 200 || time.Since(begin) != time.Minute {
			t.Errorf("%d after %s, of a hold of a minute", status, time.Since(begin))
		}
		b.apply(held(2, semper.Hold{Since: begin}))
		got := make(chan int, 1)
		go func() { status, _ := b.claim("mail.r1.1", 1, 60); got <- status }()
		synctest.Wait()
		select {
		case status := <-got:
			t.Errorf("in a hold without an end: %d", status)
		default:
		}
		b.apply(held(3))
		if status := <-got; status != 200 {
			t.Errorf("after it: %d", status)
		}
	})
}

// Claims race with the change of the table: when Apply has returned, everything the old release will ever have is held.
func TestApplyIsABarrier(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		for range 15 {
			b := newBench(t, queue.Policy{})
			b.apply(table(1, nil, nil, map[semper.Arm]string{semper.ArmStable: "mail.r1.1"}))
			got := make(chan int, 4)
			for range cap(got) {
				go func() {
					n := 0
					for {
						_, jobs := b.claim("mail.r1.1", 3, 1)
						if n += len(jobs); len(jobs) == 0 {
							got <- n
							return
						}
					}
				}()
			}
			var given sync.WaitGroup
			given.Go(func() { b.enqueue(20) })
			b.apply(table(2, nil, map[string]time.Time{"mail.r1.1": time.Now().Add(time.Hour)}, map[semper.Arm]string{semper.ArmStable: "mail.r2.1"}))
			held := b.desk.Held()["shop/mail.r1.1"]
			sum := 0
			for range cap(got) {
				sum += <-got
			}
			given.Wait()
			if sum != held {
				t.Fatalf("%d were handed out, and %d held when the old release was told to take no more", sum, held)
			}
		}
	})
}

func TestJobsAreHandedBackAtTheDeadline(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, queue.Policy{Lease: time.Hour})
		b.apply(table(1, nil, nil, map[semper.Arm]string{semper.ArmStable: "mail.r1.1"}))
		b.enqueue(1)
		_, jobs := b.claim("mail.r1.1", 1, 0)
		b.apply(table(2, nil, map[string]time.Time{"mail.r1.1": time.Now().Add(time.Minute)}, map[semper.Arm]string{semper.ArmStable: "mail.r2.1"}))
		time.Sleep(59 * time.Second)
		if b.desk.Held()["shop/mail.r1.1"] != 1 {
			t.Error("handed back before its time")
		}
		time.Sleep(2 * time.Second)
		if n := len(b.desk.Held()); n != 0 {
			t.Errorf("%d are held beyond the deadline", n)
		}
		if _, again := b.claim("mail.r2.1", 1, 0); len(again) != 1 || again[0].ID != jobs[0].ID || again[0].Attempt != 1 {
			t.Errorf("the new release gets %+v", again)
		}
		if status, _ := b.end("mail.r1.1", jobs[0], "complete", ""); status != 409 {
			t.Errorf("the old release completes what was handed back: %d", status)
		}
	})
}

// What an instance held goes to others when it has ended, and what a process before this one handed out is known.
func TestEndsOfInstancesAndOfDesks(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, queue.Policy{Lease: time.Hour})
		b.apply(table(1, nil, nil, map[semper.Arm]string{semper.ArmStable: "mail.r1.1"}))
		b.enqueue(2)
		_, jobs := b.claim("mail.r1.1", 2, 0)
		next := pull.NewDesk(mail, b.queue, slog.New(slog.DiscardHandler))
		defer next.Close()
		if next.Known() {
			t.Error("a desk knows what it has not read")
		}
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		wg.Go(func() { next.Run(ctx) })
		synctest.Wait()
		if !next.Known() || next.Held()["shop/mail.r1.1"] != 2 {
			t.Errorf("the next desk knows of %v", next.Held())
		}
		time.Sleep(time.Second)
		b.desk.Gone(t.Context(), "shop/mail.r1.1", time.Now(), "its worker ended: signal SIGKILL")
		if n := len(b.desk.Held()); n != 0 {
			t.Errorf("%d are held by an instance that has ended", n)
		}
		s, err := b.queue.Get(t.Context(), jobs[0].ID)
		if err != nil || s.State != queue.Delayed || !strings.Contains(s.Attempts[0].Reason, "SIGKILL") {
			t.Errorf("%+v %v", s, err)
		}
		time.Sleep(2 * time.Second)
		if n := len(next.Held()); n != 0 {
			t.Errorf("the next desk believes %d to be held", n)
		}
		cancel()
		wg.Wait()
	})
}

// On trial each side gets the share that the table declares, whoever asks more often; a side of which nobody asks misses its jobs.
func TestSharesOfATrial(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		asking []string
		low    float64 // of the candidate's part
		high   float64
		missed float64 // of those, at most
	}{
		"both ask":            {append(slices.Repeat([]string{"mail.r2.1"}, 16), "mail.r1.1"), .13, .27, .05}, // so many that one is always free
		"the stable one only": {[]string{"mail.r1.1"}, 0, 0, 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				const n = 1000
				b := newBench(t, queue.Policy{})
				split := &semper.Split{Rollout: "d-1", Arms: []semper.ArmShare{{Arm: semper.ArmCandidate, Share: .2}}}
				b.apply(table(1, split, nil, map[semper.Arm]string{semper.ArmStable: "mail.r1.1", semper.ArmCandidate: "mail.r2.1"}))
				var wg sync.WaitGroup
				for _, who := range tc.asking {
					wg.Go(func() {
						for {
							status, jobs := b.claim(who, 7, 2)
							for _, j := range jobs {
								b.end(who, j, "complete", "")
							}
							if status != 200 {
								return
							}
						}
					})
				}
				b.enqueue(n)
				wg.Wait()
				var done, missed, assigned float64
				for _, c := range b.desk.Counts("queue-1") {
					if c.Rollout != "d-1" {
						t.Errorf("%+v", c)
					}
					if c.Arm == semper.ArmCandidate {
						done, missed, assigned = float64(c.Requests), float64(c.Missed), float64(c.Assigned)
					}
				}
				if part := done / n; part < tc.low || part > tc.high {
					t.Errorf("the candidate did %.3f of the jobs", part)
				}
				if part := assigned / n; part < .13 || part > .27 || missed > tc.missed*assigned {
					t.Errorf("%.3f of the jobs were drawn for the candidate, which missed %.0f", part, missed)
				}
			})
		})
	}
}
