package accept

import (
	"bytes"
	"cmp"
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
	// Allows is nil when a client may be told at url, which it has named: see package queue/callback. It is asked only where the
	// settings have callbacks.
	Allows func(url string) error
}

// Options of a [Handler].
type Options struct {
	// Inbox is the queue of the service with this pool. ok is false while there is none.
	Inbox func(service semper.PoolKey) (in Inbox, ok bool)
	// Waiting is how many clients may wait at a time, for the end of a job or with a stream of its states; 0: 4096.
	Waiting int
	Log     *slog.Logger // nil: slog.Default()
}

// Handler answers what edges hand over. It is safe for concurrent use.
type Handler struct {
	inboxOf func(semper.PoolKey) (Inbox, bool)
	places  chan struct{} // has one for each client that waits
	log     *slog.Logger
}

// New is a Handler.
func New(o Options) *Handler {
	if o.Log == nil {
		o.Log = slog.Default()
	}
	return &Handler{inboxOf: o.Inbox, log: o.Log, places: make(chan struct{}, cmp.Or(o.Waiting, 4096))}
}

// sit takes a place among those who wait, if there is one; up gives it back.
func (h *Handler) sit() (up func(), ok bool) {
	select {
	case h.places <- struct{}{}:
		return func() { <-h.places }, true
	default:
		return nil, false
	}
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
	body, err := readAll(http.MaxBytesReader(w, r.Body, int64(d.Settings.Filled().MaxBody)), r.ContentLength)
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
	j, err := job(r, body, d, time.Now())
	if err != nil {
		h.fail(w, err)
		return
	}
	receipt, err := d.Enqueue(ctx, j)
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

// roomy is how much room a body gets before any of it is there.
const roomy = queue.Inline

// readAll reads a body that is said to have size bytes, or -1.
func readAll(r io.Reader, size int64) ([]byte, error) {
	b := bytes.NewBuffer(make([]byte, 0, min(max(size, 0), roomy)+bytes.MinRead)) // what is read last is that there is no more
	_, err := b.ReadFrom(r)
	return b.Bytes(), err
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
	d, st, err := h.find(r.Context(), services, id)
	switch p := preferences(r.Header); {
	case err != nil:
		h.fail(w, err)
	case streams(r):
		h.stream(w, r, d, st)
	case p.wait > 0 && !st.State.Terminal():
		h.answer(w, r, d, id, p)
	default:
		write(w, st)
	}
}

// find is the inbox of the one of services that has the job.
func (h *Handler) find(ctx context.Context, services []string, id queue.ID) (Inbox, queue.Status, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	err := queue.Unknown(id)
	for _, s := range services {
		d, ok := h.inboxOf(semper.PoolKey(s))
		if !ok {
			err = unopened // which may be the one that has it
			continue
		}
		st, e := d.Get(ctx, id)
		if e == nil {
			return d, st, nil
		}
		if !errors.Is(e, queue.ErrNotFound) {
			err = e
		}
	}
	return Inbox{}, queue.Status{}, err
}

// answer says how the job is, after the wait that p asks for. Where too many wait already it is not gone by, which is allowed.
func (h *Handler) answer(w http.ResponseWriter, r *http.Request, d Inbox, id queue.ID, p preference) {
	if up, ok := h.sit(); ok {
		defer up()
		w.Header().Set(applied, "wait="+strconv.Itoa(int(p.wait/time.Second)))
	} else {
		p.wait = 0
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
