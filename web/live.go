package web

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"reflect"
	"strings"
	"time"

	"semper/api"
	"semper/queue"
)

const (
	// lookEvery is how often a followed page asks for what tells no events: counters and health.
	lookEvery = time.Second
	// partsEvery is how many looks pass before the parts that rarely change are read without an event.
	partsEvery = 10
	// settle gathers the events of one change into one look.
	settle = 100 * time.Millisecond
	// aliveEvery is how many quiet looks pass before a sign of life.
	aliveEvery = 15
	// writePatience is how long a browser may take nothing before it counts as gone.
	writePatience = 30 * time.Second
)

// A stream keeps one open page current: it sends the fragments whose bytes differ from what the
// browser has. It belongs to its request.
type stream struct {
	ui        *ui
	w         http.ResponseWriter
	rc        *http.ResponseController
	look      *look
	queue     queue.Service // of a queue's page
	fragments []string
	have      map[string]string // fragment → version in the browser
	meter     rateMeter
	quiet     int // looks since something was sent
}

// message is one fragment on its way to the browser.
type message struct {
	Name    string `json:"n"`
	Version string `json:"v"`
	HTML    string `json:"h"`
}

// live serves the stream of one page. "have" names what the browser shows already, so that a page
// just loaded, or one that comes back after a pause, is sent only what changed.
func (u *ui) live(w http.ResponseWriter, r *http.Request) {
	st := &stream{
		ui: u, w: w, rc: http.NewResponseController(w), look: &look{App: r.FormValue("app"), Env: r.FormValue("env")},
		fragments: overviewFragments(), have: map[string]string{},
	}
	switch {
	case r.FormValue("queue") != "":
		st.look, st.queue = queueLookOf(r)
		st.fragments = queueFragments()
	case st.look.App != "":
		st.fragments = appFragments()
	}
	for pair := range strings.SplitSeq(r.FormValue("have"), ",") {
		name, version, _ := strings.Cut(pair, ":")
		st.have[name] = version
	}
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("Cache-Control", "no-store")
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	if st.write("event: hello\ndata: %s\n\n", u.assets.version) != nil {
		return
	}
	st.run(ctx)
}

// run returns when the browser leaves or the server ends.
func (st *stream) run(ctx context.Context) {
	last := st.ui.past(ctx, st.look, shownEvents)
	events, err := st.ui.s.Events(ctx, st.look.App, last, true)
	if err != nil {
		events = nil
	}
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	var settled <-chan time.Time
	if st.push(ctx, true) != nil || events == nil {
		return // the browser comes back and asks again
	}
	for n := 1; ; {
		select {
		case <-ctx.Done():
			return
		case e, ok := <-events:
			if !ok {
				return // the server ends: the browser comes back to its successor
			}
			st.look.remember(e)
			if settled == nil {
				settled = time.After(settle)
			}
			continue
		case <-settled:
			settled = nil
			err = st.push(ctx, true)
		case <-tick.C:
			err = st.push(ctx, n%partsEvery == 0)
			n++
		}
		if err != nil {
			return
		}
	}
}

// push looks and sends what changed. With all, the parts that rarely change are read too. The error
// is that of a browser gone.
func (st *stream) push(ctx context.Context, all bool) error {
	l := st.look
	if l.Queue != nil {
		return st.pushQueue(ctx, all)
	}
	before, rated, carried, problem, queues := l.Envs, l.Rates, l.Traffic, l.Problem, l.Queues
	l.Problem = st.ui.statuses(ctx, l, all)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if l.Problem == nil {
		l.Rates = st.meter.read(time.Now(), l.Envs)
		st.ui.queues(ctx, l)
	}
	same := (l.Problem == nil) == (problem == nil) && reflect.DeepEqual(before, l.Envs) && reflect.DeepEqual(rated, l.Rates) && reflect.DeepEqual(carried, l.Traffic) && reflect.DeepEqual(queues, l.Queues)
	if same && !all {
		return st.idle()
	}
	if l.Problem == nil && (all || !reflect.DeepEqual(withoutTraffic(before), withoutTraffic(l.Envs))) {
		st.ui.parts(ctx, l)
	}
	return st.send()
}

// pushQueue is push for the page of a queue.
func (st *stream) pushQueue(ctx context.Context, all bool) error {
	l := st.look
	before, problem := l.Queue, l.Problem
	l.Problem = st.ui.queueOf(ctx, l, st.queue, all)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if !all && (l.Problem == nil) == (problem == nil) && reflect.DeepEqual(before, l.Queue) {
		return st.idle()
	}
	return st.send()
}

// send gives the browser every fragment it does not have as it is now.
func (st *stream) send() error {
	fragments, err := st.ui.pages.fragments(st.fragments, st.look)
	if err != nil {
		return err
	}
	sent := false
	for _, name := range st.fragments {
		f := fragments[name]
		if st.have[name] == f.Version {
			continue
		}
		var b bytes.Buffer
		e := json.NewEncoder(&b)
		e.SetEscapeHTML(false) // nobody reads this as HTML, and it would double the size
		if err := e.Encode(message{name, f.Version, string(f.HTML)}); err != nil {
			return err
		}
		if err := st.write("event: fragment\ndata: %s\n\n", bytes.TrimSpace(b.Bytes())); err != nil {
			return err
		}
		st.have[name], sent = f.Version, true
	}
	if !sent {
		return st.idle()
	}
	st.quiet = 0
	return nil
}

func (st *stream) idle() error {
	if st.quiet++; st.quiet < aliveEvery {
		return nil
	}
	st.quiet = 0
	return st.write(": alive\n\n")
}

func (st *stream) write(format string, args ...any) error {
	// A writer that knows no deadlines (a test's recorder) has no peer that could hang.
	if err := st.rc.SetWriteDeadline(time.Now().Add(writePatience)); err != nil && !errors.Is(err, http.ErrNotSupported) {
		return err
	}
	if _, err := fmt.Fprintf(st.w, format, args...); err != nil {
		return err
	}
	return st.rc.Flush()
}

// withoutTraffic is envs without what every request changes.
func withoutTraffic(envs []api.Status) []api.Status {
	out := make([]api.Status, len(envs))
	for i, s := range envs {
		s.Ledger, s.Edges = nil, nil
		s.Instances = make([]api.Instance, len(s.Instances))
		for j, in := range envs[i].Instances {
			in.InFlight = 0
			s.Instances[j] = in
		}
		out[i] = s
	}
	return out
}
