// Package control is what an edge says and takes on its own socket, as HTTP with JSON.
package control

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"time"

	"semper"
	"semper/autoscale/waking"
	"semper/edge/ledger"
	"semper/edge/mirror/told"
	"semper/edge/rouse"
	"semper/experiment/design"
)

// drainLimit bounds a drain that names no timeout.
const drainLimit = 10 * time.Minute

// An Edge is what is asked.
type Edge struct {
	State     func() semper.EdgeState
	Wait      func(ctx context.Context, n semper.Epoch) error // until it serves by epoch n
	Drain     func(limit time.Duration)                       // begins one, if none has begun
	Ledger    func() map[ledger.Key]semper.Ledger
	Arms      func() []semper.ArmCounts
	Shadows   func() []told.Counts
	Exposures func(after int64) design.Exposures
	Sleepers  func() map[semper.PoolKey]waking.Told
	Bell      *rouse.Bell // rung when somebody begins to wait for one of them
}

// Entry is one release's line in the answer of GET /v1/ledger.
type Entry struct {
	ledger.Key
	semper.Ledger
}

// Handle answers, on m:
//
//	GET  /v1/state                the edge's [semper.EdgeState]
//	GET  /v1/wait?epoch=N         the same, once it serves by epoch N or a later one
//	POST /v1/drain[?timeout=10m]  202: a drain has begun
//	GET  /v1/ledger               what this edge has counted, per release
//	GET  /v1/arms                 what it has counted of the arms of splits, and of pools without one: [semper.ArmCounts]
//	GET  /v1/shadows              what it has compared of copies of requests: [told.Counts]
//	GET  /v1/sleepers             services that may sleep, and who asked for them: [waking.Told], by the key of their pool
//	GET  /v1/woken                the same, once somebody waits for one of them, or after 10 s
//	GET  /v1/exposures?after=N    who was exposed to a variant, after the exposure of that number: [design.Exposures]
//
// Errors are a [semper.Error].
func (e Edge) Handle(m *http.ServeMux) {
	m.HandleFunc("GET /v1/state", func(w http.ResponseWriter, _ *http.Request) { reply(w, http.StatusOK, e.State()) })
	m.HandleFunc("GET /v1/wait", e.wait)
	m.HandleFunc("POST /v1/drain", e.drain)
	m.HandleFunc("GET /v1/arms", func(w http.ResponseWriter, _ *http.Request) { reply(w, http.StatusOK, e.Arms()) })
	m.HandleFunc("GET /v1/shadows", func(w http.ResponseWriter, _ *http.Request) { reply(w, http.StatusOK, e.Shadows()) })
	m.HandleFunc("GET /v1/exposures", e.exposures)
	m.HandleFunc("GET /v1/sleepers", func(w http.ResponseWriter, _ *http.Request) { reply(w, http.StatusOK, e.Sleepers()) })
	m.HandleFunc("GET /v1/woken", e.woken)
	m.HandleFunc("GET /v1/ledger", func(w http.ResponseWriter, _ *http.Request) { reply(w, http.StatusOK, e.entries()) })
}

func (e Edge) entries() []Entry {
	out := []Entry{}
	for k, l := range e.Ledger() {
		out = append(out, Entry{k, l})
	}
	return out
}

func (e Edge) wait(w http.ResponseWriter, r *http.Request) {
	n, err := strconv.ParseInt(r.URL.Query().Get("epoch"), 10, 64)
	if err != nil {
		refuse(w, &semper.Error{Code: semper.Invalid, Op: "wait for an epoch", Message: "epoch is not a number"})
		return
	}
	if err := e.Wait(r.Context(), semper.Epoch(n)); err != nil {
		refuse(w, err)
		return
	}
	reply(w, http.StatusOK, e.State())
}

// wokenWithin bounds the wait for somebody who waits: who listens asks again.
const wokenWithin = 10 * time.Second

func (e Edge) woken(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), wokenWithin)
	defer cancel()
	reply(w, http.StatusOK, e.Bell.Await(ctx, e.Sleepers))
}

func (e Edge) exposures(w http.ResponseWriter, r *http.Request) {
	n, err := strconv.ParseInt(r.URL.Query().Get("after"), 10, 64)
	if err != nil {
		refuse(w, &semper.Error{Code: semper.Invalid, Op: "fetch exposures", Message: "after is not a number"})
		return
	}
	reply(w, http.StatusOK, e.Exposures(n))
}

func (e Edge) drain(w http.ResponseWriter, r *http.Request) {
	limit := drainLimit
	if s := r.URL.Query().Get("timeout"); s != "" {
		d, err := time.ParseDuration(s)
		if err != nil || d < 0 {
			refuse(w, &semper.Error{Code: semper.Invalid, Op: "drain", Message: "timeout is not a duration"})
			return
		}
		limit = d
	}
	e.Drain(limit)
	reply(w, http.StatusAccepted, e.State())
}

func reply(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	json.NewEncoder(w).Encode(v) //nolint:errcheck // whoever asked is gone
}

func refuse(w http.ResponseWriter, err error) {
	e, ok := errors.AsType[*semper.Error](err)
	if !ok {
		e = &semper.Error{Code: semper.Timeout, Message: err.Error()}
	}
	status := http.StatusServiceUnavailable
	if e.Code == semper.Invalid {
		status = http.StatusBadRequest
	}
	reply(w, status, e)
}
