package accept

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"time"

	"semper"
	"semper/internal/inbox"
	"semper/queue"
)

// An Inbox is one service's queue as requests find it.
type Inbox struct {
	queue.Queue
	Settings queue.Settings
}

// Options of a [Handler].
type Options struct {
	// Inbox is the queue of the service with this pool. ok is false while there is none.
	Inbox func(service semper.PoolKey) (in Inbox, ok bool)
	Log   *slog.Logger // nil: slog.Default()
}

// Handler answers what edges hand over. It is safe for concurrent use.
type Handler struct {
	inboxOf func(semper.PoolKey) (Inbox, bool)
	log     *slog.Logger
}

// New is a Handler.
func New(o Options) *Handler {
	if o.Log == nil {
		o.Log = slog.Default()
	}
	return &Handler{inboxOf: o.Inbox, log: o.Log}
}

const (
	// patience is how long the store may take to make a request durable. A client that is told 503 may ask again.
	patience = 10 * time.Second
	// longest is how long a client may wait for the end of a job in one request.
	longest = time.Minute
)

// ServeHTTP takes a request, or tells what became of one.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	services := strings.Split(r.Header.Get(inbox.Field), ",")
	if name, ok := strings.CutPrefix(r.URL.Path, inbox.Path+"/"); ok {
		h.tell(w, r, services, name)
		return
	}
	h.take(w, r, semper.PoolKey(services[0]))
}

// take writes a request down, then acknowledges it.
func (h *Handler) take(w http.ResponseWriter, r *http.Request, service semper.PoolKey) {
	d, ok := h.inboxOf(service)
	if !ok {
		h.fail(w, unopened)
		return
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, int64(d.Settings.Filled().MaxBody)))
	if err != nil {
		if _, large := errors.AsType[*http.MaxBytesError](err); large {
			err = queue.ErrTooLarge
		} else {
			err = errCut
		}
		h.fail(w, err)
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), patience)
	defer cancel()
	receipt, err := d.Enqueue(ctx, job(r, body, d.Settings.KeyField))
	if err != nil {
		h.fail(w, err)
		return
	}
	p := preferences(r.Header)
	header := w.Header()
	header.Set("Location", inbox.Path+"/"+receipt.ID.String())
	if receipt.Duplicate {
		header.Set("Semper-Duplicate", "true")
	}
	if p.wait > 0 {
		h.answer(w, r, d, receipt.ID, p)
		return
	}
	if p.async {
		header.Set(applied, "respond-async")
	}
	write(w, queue.Status{ID: receipt.ID, State: queue.Queued})
}

// job is what is written down of a request: what the instance gets of it.
func job(r *http.Request, body []byte, keyField string) queue.Job {
	header := r.Header.Clone()
	for _, name := range []string{inbox.Field, "Prefer", "Connection", "Content-Length", "Expect", "Te", "Trailer", "Upgrade"} {
		header.Del(name)
	}
	j := queue.Job{
		DedupKey: r.Header.Get("Idempotency-Key"),
		Request:  queue.Request{Method: r.Method, Target: r.URL.RequestURI(), Host: r.Host, Header: header, Body: body},
	}
	if keyField != "" {
		j.Key = r.Header.Get(keyField)
	}
	return j
}

// tell answers with what became of the job called name, which one of services has.
func (h *Handler) tell(w http.ResponseWriter, r *http.Request, services []string, name string) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		h.fail(w, errMethod)
		return
	}
	id, err := queue.ParseID(name)
	if err != nil {
		h.fail(w, err)
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), patience)
	defer cancel()
	err = queue.Unknown(id)
	for _, s := range services {
		d, ok := h.inboxOf(semper.PoolKey(s))
		if !ok {
			err = unopened // which may be the one that has it
			continue
		}
		st, e := d.Get(ctx, id)
		if p := preferences(r.Header); e == nil && p.wait > 0 && !st.State.Terminal() {
			h.answer(w, r, d, id, p)
			return
		}
		if e == nil {
			write(w, st)
			return
		}
		if !errors.Is(e, queue.ErrNotFound) {
			err = e
		}
	}
	h.fail(w, err)
}

// answer says how the job is, after the wait that p asks for.
func (h *Handler) answer(w http.ResponseWriter, r *http.Request, d Inbox, id queue.ID, p preference) {
	if p.wait > 0 {
		w.Header().Set(applied, "wait="+strconv.Itoa(int(p.wait/time.Second)))
	}
	ctx, cancel := context.WithTimeout(r.Context(), p.wait)
	defer cancel()
	s, err := d.Wait(ctx, id) // at once the status of now, where there is no wait
	if err != nil {
		h.fail(w, err)
		return
	}
	write(w, s)
}

// applied says which preferences were gone by, RFC 7240 section 3.
const applied = "Preference-Applied"

// A preference is what a client has asked for in Prefer, RFC 7240.
type preference struct {
	async bool
	wait  time.Duration
}

// preferences reads what is understood of h; the rest is passed over, as the RFC wants.
func preferences(h http.Header) (p preference) {
	for _, line := range h.Values("Prefer") {
		for item := range strings.SplitSeq(line, ",") {
			item, _, _ = strings.Cut(item, ";")
			name, value, _ := strings.Cut(item, "=")
			switch strings.ToLower(strings.TrimSpace(name)) {
			case "respond-async":
				p.async = true
			case "wait":
				if n, err := strconv.Atoi(strings.Trim(strings.TrimSpace(value), `"`)); err == nil && n > 0 && p.wait == 0 {
					p.wait = min(time.Duration(min(n, 3600))*time.Second, longest)
				}
			}
		}
	}
	return p
}
