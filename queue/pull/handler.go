package pull

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"semper"
	"semper/queue"
)

// Options of a [Handler]. Its functions are safe for concurrent use.
type Options struct {
	// Who is the instance that asks. What is none of semper's is an error.
	Who func(*http.Request) (Instance, error)
	// Asked is told of each claim, before it waits: an instance that asks for jobs is ready to do them.
	Asked func(context.Context, Instance)
	// Desk is where jobs of a service whose workers ask are handed out; nil while it is not open.
	Desk func(semper.PoolKey) *Desk
	// Queue is the queue of a service, however its jobs are done. ok is false while there is none.
	Queue func(semper.PoolKey) (q queue.Producer, s queue.Settings, ok bool)
	Log   *slog.Logger
}

// Handler is the API of SEMPER_QUEUE:
//
//	POST /v1/jobs?to=SERVICE&path=/PATH     gives a service of the app a job, which is the request's body
//	POST /v1/jobs/claim?max=N&wait=SECONDS  asks for jobs of the asker's own service
//	POST /v1/jobs/claim?raw=1&wait=SECONDS  asks for one, for shells: its body as it is, the rest in fields of the header
//	POST /v1/jobs/ID/complete?lease=LEASE   ends one with a result, the request's body
//	POST /v1/jobs/ID/fail?lease=LEASE       ends an attempt: {"reason": …, "retry_after": SECONDS, "final": true}
//	POST /v1/jobs/ID/release?lease=LEASE    gives one back, uncounted
//	POST /v1/jobs/ID/extend?lease=LEASE     has the lease begin anew
//
// Errors are problems of RFC 9457.
type Handler struct {
	o   Options
	mux *http.ServeMux
}

// New is a Handler.
func New(o Options) *Handler {
	h := &Handler{o: o, mux: http.NewServeMux()}
	h.mux.HandleFunc("POST /v1/jobs", h.enqueue)
	h.mux.HandleFunc("POST /v1/jobs/claim", h.claim)
	h.mux.HandleFunc("POST /v1/jobs/{id}/{what}", h.end)
	h.mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		problem(w, http.StatusNotFound, fmt.Sprintf("there is no %s %s here; POST /v1/jobs/claim asks for jobs", r.Method, r.URL.Path))
	})
	return h
}

// ServeHTTP answers an instance.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) { h.mux.ServeHTTP(w, r) }

const (
	// maxClaim is how many jobs one request may have, and maxWait how long it may wait for the first.
	maxClaim = 100
	maxWait  = time.Minute
	// MaxResult is the largest result that is kept.
	MaxResult = 1 << 20
	// patience is how long the store may take over one request.
	patience = 10 * time.Second
)

// who identifies the asker, or answers that it cannot.
func (h *Handler) who(w http.ResponseWriter, r *http.Request) (Instance, bool) {
	who, err := h.o.Who(r)
	if err == nil {
		return who, true
	}
	if semper.CodeOf(err) == semper.Unavailable {
		h.fail(w, err)
		return who, false
	}
	problem(w, http.StatusForbidden, "whose process asks is not known: jobs are for instances that semper runs, and for what they start")
	return who, false
}

// desk is where the asker's service gets its jobs, or an answer that there is none.
func (h *Handler) desk(w http.ResponseWriter, who Instance) *Desk {
	d := h.o.Desk(who.Pool())
	if d != nil {
		return d
	}
	if _, _, ok := h.o.Queue(who.Pool()); ok {
		problem(w, http.StatusNotFound, fmt.Sprintf("the jobs of %s come as requests: it is of type web, or listens", who.Service))
		return nil
	}
	retry(w, 1)
	problem(w, http.StatusServiceUnavailable, fmt.Sprintf("%s has no queue yet: it is opened when the release is connected; type: worker and jobs: {} in semper.yaml make one", who.Service))
	return nil
}

// A Job is one as workers get it.
type Job struct {
	ID       queue.ID    `json:"id"`
	Lease    string      `json:"lease"`
	Attempt  int         `json:"attempt"`
	Seconds  float64     `json:"seconds"` // how long the lease holds from now
	Key      string      `json:"key,omitempty"`
	Accepted time.Time   `json:"accepted"`
	Method   string      `json:"method"`
	Target   string      `json:"target"`
	Header   http.Header `json:"header,omitempty"`
	Body     string      `json:"body,omitempty"`
	Bytes    []byte      `json:"body_base64,omitempty"` // in the place of Body where that is no UTF-8
}

// Jobs is the answer to a claim.
type Jobs struct {
	Jobs []Job `json:"jobs"`
}

func jobOf(c *queue.Claim) Job {
	j := Job{
		ID: c.ID, Lease: fmt.Sprintf("%d-%d", c.Lease.Attempt, c.Lease.Token), Attempt: c.Lease.Attempt, Seconds: c.For.Seconds(),
		Key: c.Key, Accepted: c.Accepted, Method: c.Request.Method, Target: c.Request.Target, Header: c.Request.Header,
	}
	if utf8.Valid(c.Request.Body) {
		j.Body = string(c.Request.Body)
	} else {
		j.Bytes = c.Request.Body
	}
	return j
}

// claim hands out jobs.
func (h *Handler) claim(w http.ResponseWriter, r *http.Request) {
	who, ok := h.who(w, r)
	if !ok {
		return
	}
	n, err := number(r, "max", 1, 1, maxClaim)
	wait, werr := number(r, "wait", 0, 0, int(maxWait/time.Second))
	raw, rerr := number(r, "raw", 0, 0, 1)
	if err = errors.Join(err, werr, rerr); err == nil && raw == 1 && n > 1 {
		err = errors.New("raw=1 is one job: leave out max")
	}
	if err != nil {
		problem(w, http.StatusBadRequest, err.Error())
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), max(time.Duration(wait)*time.Second, time.Millisecond*50))
	defer cancel()
	h.o.Asked(r.Context(), who)
	d := h.desk(w, who)
	if d == nil {
		return
	}
	claims, err := d.Claim(ctx, who, n)
	switch {
	case errors.Is(err, errQuiesced):
		retry(w, 5)
		problem(w, http.StatusConflict, fmt.Sprintf("%s is quiesced: it takes no more jobs; it is told to end when it holds none", who.Release))
	case err != nil:
		h.fail(w, err)
	case len(claims) == 0:
		w.WriteHeader(http.StatusNoContent)
	case r.Context().Err() != nil: // who asked is gone
		h.giveBack(r.Context(), d, claims)
	default:
		if hand(w, claims, raw == 1) != nil {
			h.giveBack(r.Context(), d, claims)
		}
	}
}

// hand gives jobs to who asked.
func hand(w http.ResponseWriter, claims []queue.Claim, raw bool) error {
	out := Jobs{Jobs: make([]Job, len(claims))}
	for i := range claims {
		out.Jobs[i] = jobOf(&claims[i])
	}
	if !raw {
		return reply(w, http.StatusOK, out)
	}
	j, header := &out.Jobs[0], w.Header()
	header.Set("Semper-Job-Id", j.ID.String())
	header.Set("Semper-Job-Lease", j.Lease)
	header.Set("Semper-Attempt", strconv.Itoa(j.Attempt))
	header.Set("Semper-Job-Target", j.Target)
	header.Set("Content-Type", "application/octet-stream")
	if kind := j.Header.Get("Content-Type"); kind != "" {
		header.Set("Content-Type", kind)
	}
	header.Set("Content-Length", strconv.Itoa(len(claims[0].Request.Body)))
	_, err := w.Write(claims[0].Request.Body)
	return err
}

func (h *Handler) giveBack(ctx context.Context, d *Desk, claims []queue.Claim) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), patience)
	defer cancel()
	for _, c := range claims {
		if err := d.Release(ctx, c.Lease); err != nil {
			h.o.Log.Debug("a job whose claimer is gone waits for the end of its lease", "job", c.ID.String(), "error", err)
		}
	}
}

// end is what ends an attempt, or extends it.
func (h *Handler) end(w http.ResponseWriter, r *http.Request) {
	who, ok := h.who(w, r)
	if !ok {
		return
	}
	id, err := queue.ParseID(r.PathValue("id"))
	if err != nil {
		problem(w, http.StatusNotFound, fmt.Sprintf("%q is no job's id", r.PathValue("id")))
		return
	}
	l, err := leaseOf(id, r.URL.Query().Get("lease"))
	if err != nil {
		problem(w, http.StatusBadRequest, err.Error())
		return
	}
	d := h.desk(w, who)
	if d == nil {
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), patience)
	defer cancel()
	switch what := r.PathValue("what"); what {
	case "complete":
		h.complete(ctx, w, r, d, l)
	case "fail":
		h.failed(ctx, w, r, d, l)
	case "release":
		h.done(w, d.Release(ctx, l))
	case "extend":
		_, s, _ := h.o.Queue(who.Pool())
		lasts := s.Filled().Lease
		if err := d.Extend(ctx, l, lasts); err != nil {
			h.fail(w, err)
			return
		}
		_ = reply(w, http.StatusOK, map[string]float64{"seconds": lasts.Seconds()}) // a worker that is gone may ask again
	default:
		problem(w, http.StatusNotFound, fmt.Sprintf("a job is not to be %q: complete, fail, release or extend", what))
	}
}

// leaseOf reads what jobOf writes.
func leaseOf(id queue.ID, text string) (queue.Lease, error) {
	attempt, token, ok := strings.Cut(text, "-")
	n, err := strconv.Atoi(attempt)
	t, terr := strconv.ParseInt(token, 10, 64)
	if !ok || err != nil || terr != nil || n < 1 || t < 1 {
		return queue.Lease{}, fmt.Errorf("lease=%s is none: give the lease that came with the job", text)
	}
	return queue.Lease{ID: id, Attempt: n, Token: t}, nil
}

func (h *Handler) complete(ctx context.Context, w http.ResponseWriter, r *http.Request, d *Desk, l queue.Lease) {
	status, err := number(r, "status", http.StatusOK, 200, 499)
	if err != nil {
		problem(w, http.StatusBadRequest, err.Error())
		return
	}
	body, ok := h.body(w, r, MaxResult)
	if !ok {
		return
	}
	result := queue.Result{Status: status, Body: body}
	if kind := r.Header.Get("Content-Type"); kind != "" && len(body) > 0 {
		result.Header = http.Header{"Content-Type": {kind}}
	}
	h.done(w, d.Complete(ctx, l, result))
}

// failed is the end of an attempt that did not complete its job; what is said of it may be left out.
func (h *Handler) failed(ctx context.Context, w http.ResponseWriter, r *http.Request, d *Desk, l queue.Lease) {
	said := struct {
		Reason     string  `json:"reason"`
		RetryAfter float64 `json:"retry_after"` // seconds
		Final      bool    `json:"final"`
	}{Reason: "its worker failed"}
	body, ok := h.body(w, r, 64<<10)
	if !ok {
		return
	}
	if len(body) > 0 {
		if err := json.Unmarshal(body, &said); err != nil {
			problem(w, http.StatusBadRequest, `how it failed is not {"reason": "…", "retry_after": 5, "final": false}: `+err.Error())
			return
		}
	}
	after := time.Duration(min(max(said.RetryAfter, 0), 86400) * float64(time.Second))
	s, err := d.Fail(ctx, l, queue.Failure{Reason: said.Reason, RetryAfter: after, Final: said.Final})
	if err != nil {
		h.fail(w, err)
		return
	}
	_ = reply(w, http.StatusOK, map[string]queue.State{"state": s}) // a worker that is gone may ask again
}

func (h *Handler) done(w http.ResponseWriter, err error) {
	if err != nil {
		h.fail(w, err)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

// body is the request's, if it is whole and not above limit.
func (h *Handler) body(w http.ResponseWriter, r *http.Request, limit int64) ([]byte, bool) {
	b, err := io.ReadAll(http.MaxBytesReader(w, r.Body, limit))
	if err == nil {
		return b, true
	}
	if _, large := errors.AsType[*http.MaxBytesError](err); large {
		problem(w, http.StatusRequestEntityTooLarge, fmt.Sprintf("the body has more than %d bytes", limit))
		return nil, false
	}
	problem(w, http.StatusBadRequest, "the body did not arrive whole")
	return nil, false
}

// number is a parameter of the query.
func number(r *http.Request, name string, without, lo, hi int) (int, error) {
	text := r.URL.Query().Get(name)
	if text == "" {
		return without, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < lo || n > hi {
		return 0, fmt.Errorf("%s=%s: a number from %d to %d", name, text, lo, hi)
	}
	return n, nil
}

// fail answers with what is wrong.
func (h *Handler) fail(w http.ResponseWriter, err error) {
	if full, ok := errors.AsType[*queue.Full](err); ok {
		retry(w, max(int(math.Ceil(full.RetryAfter.Seconds())), 1))
		problem(w, http.StatusTooManyRequests, "the queue is full")
		return
	}
	status, detail := http.StatusServiceUnavailable, "the store is away: nothing was changed that you know of; ask again"
	switch {
	case errors.Is(err, queue.ErrLeaseLost):
		status, detail = http.StatusConflict, "the lease has ended, and the job was or will be given to another: nothing was changed; extend the lease of a job that takes longer"
	case errors.Is(err, queue.ErrNotFound):
		status, detail = http.StatusNotFound, "there is no such job, or it is no longer remembered"
	case errors.Is(err, queue.ErrKeyReused):
		status, detail = http.StatusUnprocessableEntity, "the Idempotency-Key was used for another job"
	case errors.Is(err, queue.ErrTooLarge):
		status, detail = http.StatusRequestEntityTooLarge, "the body is larger than the queue takes"
	case semper.CodeOf(err) == semper.Invalid:
		status, detail = http.StatusBadRequest, err.Error()
	default:
		h.o.Log.Warn("a worker was not served", "error", err)
		retry(w, 1)
	}
	problem(w, status, detail)
}

func retry(w http.ResponseWriter, seconds int) { w.Header().Set("Retry-After", strconv.Itoa(seconds)) }

// problem answers as RFC 9457 has it.
func problem(w http.ResponseWriter, status int, detail string) {
	w.Header().Set("Content-Type", "application/problem+json")
	_ = reply(w, status, struct { // who is gone misses nothing
		Title  string `json:"title"`
		Status int    `json:"status"`
		Detail string `json:"detail"`
	}{http.StatusText(status), status, detail})
}

func reply(w http.ResponseWriter, status int, v any) error {
	if w.Header().Get("Content-Type") == "" {
		w.Header().Set("Content-Type", "application/json")
	}
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	err := json.NewEncoder(w).Encode(v)
	if f, ok := w.(http.Flusher); ok && err == nil {
		f.Flush()
	}
	return err
}
