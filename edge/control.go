package edge

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"time"

	"semper"
	"semper/edge/witness"
)

// drainLimit bounds a drain that was asked for over the control socket and names no timeout.
const drainLimit = 10 * time.Minute

// Control answers on the edge's own socket:
//
//	GET  /v1/state                the edge's [semper.EdgeState]
//	GET  /v1/wait?epoch=N         the same, once it serves by epoch N or a later one
//	POST /v1/drain[?timeout=10m]  202: a drain has begun; Done tells of its end
//	GET  /v1/ledger               what this edge has counted, per release
//	GET  /v1/traffic, /v1/readings, /metrics   what it has seen: see [witness.Witness.Handle]
//
// Errors are a [semper.Error].
func (e *Edge) Control() http.Handler {
	m := http.NewServeMux()
	m.HandleFunc("GET /v1/state", func(w http.ResponseWriter, _ *http.Request) { reply(w, http.StatusOK, e.State()) })
	m.HandleFunc("GET /v1/wait", e.controlWait)
	m.HandleFunc("POST /v1/drain", e.controlDrain)
	m.HandleFunc("GET /v1/ledger", func(w http.ResponseWriter, _ *http.Request) { reply(w, http.StatusOK, e.ledgerEntries()) })
	e.witness.Handle(m)
	return m
}

// Witness is what has seen the edge's requests.
func (e *Edge) Witness() *witness.Witness { return e.witness }

// LedgerEntry is one release's line in the answer of GET /v1/ledger.
type LedgerEntry struct {
	Key
	semper.Ledger
}

func (e *Edge) ledgerEntries() []LedgerEntry {
	out := []LedgerEntry{}
	for k, l := range e.books.Snapshot().Counts {
		out = append(out, LedgerEntry{k, l})
	}
	return out
}

func (e *Edge) controlWait(w http.ResponseWriter, r *http.Request) {
	n, err := strconv.ParseInt(r.URL.Query().Get("epoch"), 10, 64)
	if err != nil {
		refuseControl(w, &semper.Error{Code: semper.Invalid, Op: "wait for an epoch", Message: "epoch is not a number"})
		return
	}
	if err := e.WaitEpoch(r.Context(), semper.Epoch(n)); err != nil {
		refuseControl(w, err)
		return
	}
	reply(w, http.StatusOK, e.State())
}

func (e *Edge) controlDrain(w http.ResponseWriter, r *http.Request) {
	limit := drainLimit
	if s := r.URL.Query().Get("timeout"); s != "" {
		d, err := time.ParseDuration(s)
		if err != nil || d < 0 {
			refuseControl(w, &semper.Error{Code: semper.Invalid, Op: "drain", Message: "timeout is not a duration"})
			return
		}
		limit = d
	}
	e.end.once.Do(func() {
		e.spawnDrain(func(here context.Context) {
			ctx, cancel := context.WithTimeout(e.ctx, limit)
			defer cancel()
			e.drain(here, ctx)
		})
	})
	reply(w, http.StatusAccepted, e.State())
}

func reply(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	json.NewEncoder(w).Encode(v) //nolint:errcheck // whoever asked is gone
}

func refuseControl(w http.ResponseWriter, err error) {
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
