package web

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"net/url"
	"reflect"
	"slices"
	"strconv"
	"sync"
	"time"

	"semper"
	"semper/api"
	"semper/queue"
	"semper/queue/meter"
)

// shownJobs is how many of a state's newest jobs a page shows; the CLI shows all.
const shownJobs = 20

// queueFragments are those of a queue's page.
func queueFragments() []string {
	return []string{"notice", "queuehead", "queueflow", "queuejobs", "queuedeeds"}
}

// A queueRow is a queue as a line of a table. Nothing in it changes while nothing happens.
type queueRow struct {
	queue.Service
	Mark                           mark
	Queued, Delayed, Running, Dead int
	Oldest                         time.Time
	In, Out                        string // per second
	Known                          bool   // whether they are
}

// A queueLook is what the page of one queue shows.
type queueLook struct {
	Info    api.QueueInfo
	State   queue.State // of the jobs that are listed
	Said    bool        // the reader has chosen it
	Jobs    []queue.Status
	JobsErr error
	Past    []meter.Point
	PastErr error
}

// queueMark is how a queue stands in a word or two; what a person has to know first comes first.
func queueMark(q api.QueueInfo) mark {
	switch {
	case q.Paused != nil && q.Full:
		return mark{"cross", "bad", "paused, full"}
	case q.Drained:
		return mark{"square", "warn", "paused, drained"}
	case q.Paused != nil:
		return mark{"tri", "warn", "paused"}
	case q.Full:
		return mark{"cross", "bad", "full"}
	case q.Dispatcher == "":
		return mark{"cross", "bad", "no dispatcher"}
	}
	return mark{"disc", "ok", "open"}
}

func rowOfQueue(q api.QueueInfo) queueRow {
	row := queueRow{
		Service: q.Service, Mark: queueMark(q), Queued: q.Queued, Delayed: q.Delayed, Running: q.Running, Dead: q.Dead,
		Oldest: q.Oldest.Truncate(time.Second), Known: q.Activity != nil,
	}
	row.In, row.Out = rateIn(q.Activity), rateOut(q.Activity)
	return row
}

func rateIn(a *api.QueueActivity) string {
	return perSecond(round3(a.PerSecond(func(c meter.Counts) uint64 { return c.Accepted })))
}

func rateOut(a *api.QueueActivity) string {
	return perSecond(round3(a.PerSecond(func(c meter.Counts) uint64 { return c.Done })))
}

// queuesGlance is the newest list of queues. It is safe for concurrent use.
type queuesGlance struct {
	s api.Service

	mu   sync.Mutex // guards the following; held while the service is asked, so that one asks for all
	at   time.Time
	last []api.QueueInfo
	err  error
}

// list is not older than glanceAge. Nobody alters what it returns.
func (g *queuesGlance) list(ctx context.Context) ([]api.QueueInfo, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if time.Since(g.at) < glanceAge {
		return g.last, g.err
	}
	l, err := g.s.Queues(ctx, "", "")
	if ctx.Err() != nil {
		return nil, ctx.Err() // of this viewer alone
	}
	g.at, g.last, g.err = time.Now(), l, err
	return l, err
}

// queues brings Queues up to now.
func (u *ui) queues(ctx context.Context, l *look) {
	all, err := u.line.list(ctx)
	l.Queues, l.QueuesErr = nil, err
	for _, q := range all {
		if l.concerns(q.App, q.Environment) {
			l.Queues = append(l.Queues, rowOfQueue(q))
		}
	}
	slices.SortFunc(l.Queues, func(a, b queueRow) int {
		return cmp.Or(cmp.Compare(a.App, b.App), cmp.Compare(a.Environment, b.Environment), cmp.Compare(a.Service.Service, b.Service.Service))
	})
}

// queueOf brings Queue up to now: how it stands always, its jobs when something has happened, its past rarely.
func (u *ui) queueOf(ctx context.Context, l *look, of queue.Service, all bool) error {
	l.Caller = api.CallerOf(ctx)
	info, err := u.s.Queue(ctx, of)
	if err != nil {
		return err
	}
	before := l.Queue
	now := *before
	now.Info = info
	if !now.Said {
		now.State = queue.Running
		if info.Dead > 0 {
			now.State = queue.Dead
		}
	}
	if all || now.State != before.State || !reflect.DeepEqual(standing(before.Info), standing(info)) {
		now.Jobs, now.JobsErr = u.s.Newest(ctx, of, now.State, shownJobs)
	}
	if all {
		now.Past, now.PastErr = u.s.QueuePast(ctx, of)
	}
	l.Queue = &now
	return nil
}

// standing is what of q changes only when something happens.
func standing(q api.QueueInfo) any {
	var total meter.Counts
	if q.Activity != nil {
		total = q.Activity.Total
	}
	return []any{q.Stats, total, q.Deeds}
}

// queueLookOf is what r asks to look at.
func queueLookOf(r *http.Request) (l *look, of queue.Service) {
	of = queue.Service{App: r.PathValue("app"), Environment: r.PathValue("env"), Service: r.PathValue("service")}
	if of.Service == "" { // a stream's
		of = queue.Service{App: r.FormValue("app"), Environment: r.FormValue("env"), Service: r.FormValue("queue")}
	}
	q := &queueLook{State: queue.State(r.FormValue("state"))}
	q.Said = q.State != ""
	return &look{App: of.App, Env: of.Environment, Queue: q}, of
}

// queuePage serves the page of one queue.
func (u *ui) queuePage(w http.ResponseWriter, r *http.Request) {
	l, of := queueLookOf(r)
	if err := u.queueOf(r.Context(), l, of, true); err != nil {
		u.fail(w, err)
		return
	}
	if l.Queue.Said && l.Queue.JobsErr != nil && semper.CodeOf(l.Queue.JobsErr) == semper.Invalid {
		u.fail(w, l.Queue.JobsErr) // no state of a job
		return
	}
	f, err := u.pages.fragments(queueFragments(), l)
	if err != nil {
		u.fail(w, err)
		return
	}
	q := url.Values{"app": {of.App}, "env": {of.Environment}, "queue": {of.Service}}
	if l.Queue.Said {
		q.Set("state", string(l.Queue.State))
	}
	u.write(w, http.StatusOK, page{Title: of.Service + " queue of " + where(of.App, of.Environment), Body: "queue", Live: "/ui/events?" + q.Encode(), F: f, Look: l})
}

// jobView is a job and what its queue is.
type jobView struct {
	api.JobInfo
	Of  queue.Service
	May bool // the caller may decide about it
}

// jobPage serves the life of one job.
func (u *ui) jobPage(w http.ResponseWriter, r *http.Request) {
	_, of := queueLookOf(r)
	id, err := queue.ParseID(r.PathValue("id"))
	if err != nil {
		u.fail(w, &semper.Error{Code: semper.NotFound, Message: strconv.Quote(r.PathValue("id")) + " is no job", Hint: "the queue's page lists them"})
		return
	}
	j, err := u.s.Job(r.Context(), of, id)
	if err != nil {
		u.fail(w, err)
		return
	}
	v := jobView{JobInfo: j, Of: of, May: api.CallerOf(r.Context()).Role.Includes(api.Deployer)}
	u.write(w, http.StatusOK, page{Title: "Job " + id.String(), Body: "job", Look: &look{App: of.App, Env: of.Environment}, Data: v})
}

// decideQueue does to a queue, or to some of its jobs, what a button says. See [ui.decide] for who may.
func (u *ui) decideQueue(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, mostWhy)
	if err := r.ParseForm(); err != nil {
		u.fail(w, &semper.Error{Code: semper.Invalid, Message: "the form cannot be read", Hint: "the reason may be 4 KiB long", Err: err})
		return
	}
	_, of := queueLookOf(r)
	by := queue.By{Who: api.CallerOf(r.Context()).Name, Why: r.PostFormValue("why")}
	which, back, err := chosen(r, of)
	if err == nil {
		switch verb := r.PathValue("verb"); verb {
		case "pause":
			_, err = u.s.PauseQueue(r.Context(), of, by)
		case "resume":
			_, err = u.s.ResumeQueue(r.Context(), of, by)
		case "retry":
			_, err = u.s.RetryJobs(r.Context(), of, which, by)
		case "discard":
			_, err = u.s.DiscardJobs(r.Context(), of, which, by)
		default:
			err = &semper.Error{Code: semper.NotFound, Message: fmt.Sprintf("a queue can be told pause, resume, retry or discard, and not %q", verb)}
		}
	}
	if err != nil {
		u.fail(w, err)
		return
	}
	http.Redirect(w, r, back, http.StatusSeeOther)
}

// chosen are the jobs that a form is about, and the page to go back to.
func chosen(r *http.Request, of queue.Service) (which api.JobChoice, back string, err error) {
	back = link("queue", of.App, of.Environment, of.Service)
	text := r.PostFormValue("job")
	if text == "" {
		return api.JobChoice{All: true, State: queue.State(r.PostFormValue("state"))}, back, nil
	}
	id, err := queue.ParseID(text)
	if err != nil {
		return which, back, &semper.Error{Code: semper.NotFound, Message: strconv.Quote(text) + " is no job", Hint: "the queue's page lists them"}
	}
	if r.PostFormValue("from") == "job" {
		back = link("job", of.App, of.Environment, of.Service, id)
	}
	return api.JobChoice{IDs: []queue.ID{id}}, back, nil
}
