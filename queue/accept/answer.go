package accept

import (
	"encoding/json"
	"errors"
	"math"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"semper"
	"semper/queue"
)

// What is wrong with a request before its queue is asked.
var (
	errCut     = errors.New("the body did not arrive whole")
	errMethod  = errors.New("a request that was accepted can only be asked about")
	errCrowded = &semper.Error{Code: semper.Unavailable, Op: "queue", Message: "too many clients wait"}
	unopened   = &semper.Error{Code: semper.Unavailable, Op: "queue", Message: "the queue is not open yet"}
)

// stateField says which state a job is in, whatever the status.
const stateField = "Semper-Job-State"

// write answers with the state of a job: the response that it was answered with, if it was.
func write(w http.ResponseWriter, s queue.Status) {
	h := w.Header()
	h.Set(stateField, string(s.State))
	h.Set("Cache-Control", "no-store")
	switch {
	case s.State == queue.Done && s.Result != nil:
		respond(w, s.Result)
	case s.State == queue.Done:
		w.WriteHeader(http.StatusNoContent)
	case s.State == queue.Dead:
		problem(w, http.StatusBadGateway, because("the request was not completed", s.Told()))
	case s.State.Terminal():
		problem(w, http.StatusGone, because("the request was "+string(s.State), s.Told()))
	default:
		h.Set("Retry-After", "1")
		p := pending{ID: s.ID, State: s.State, Accepted: s.ID.Time().UTC(), Due: s.Due, Attempts: len(s.Attempts)}
		if s.State == queue.Queued && p.Due.IsZero() && p.Attempts == 0 {
			send(w, "application/json", http.StatusAccepted, p.plain())
			return
		}
		encode(w, "application/json", http.StatusAccepted, p)
	}
}

func because(what, why string) string { return strings.TrimSuffix(what+": "+why, ": ") }

// pending is a job that is not over, as its client sees it. How attempts went is not for clients: reasons may name what is inside.
type pending struct {
	ID       queue.ID    `json:"id"`
	State    queue.State `json:"state"`
	Accepted time.Time   `json:"accepted"`
	Due      time.Time   `json:"due,omitzero"`
	Attempts int         `json:"attempts,omitempty"`
}

// plain is p as JSON, of which only its id and its time differ from others: the answer to each request that is accepted.
func (p pending) plain() []byte {
	b := append(make([]byte, 0, 128), `{"id":"`...)
	b = append(append(b, p.ID.String()...), `","state":"queued","accepted":"`...)
	return append(p.Accepted.AppendFormat(b, time.RFC3339Nano), `"}`...)
}

// own are fields that speak of this answer, not of the one that is stored.
var own = []string{"Location", "Preference-Applied", "Semper-Duplicate"}

// respond gives the stored response. Its own Location goes before the job's.
func respond(w http.ResponseWriter, r *queue.Result) {
	h := w.Header()
	for name, values := range r.Header {
		if slices.Contains(own[1:], name) || name == stateField || name == "Content-Length" {
			continue
		}
		h[name] = values
	}
	if len(h["Content-Type"]) == 0 {
		h["Content-Type"] = nil // net/http would guess one from the body, and the instance has said none
	}
	if r.Status != http.StatusNoContent && r.Status != http.StatusNotModified {
		h.Set("Content-Length", strconv.Itoa(len(r.Body)))
	}
	w.WriteHeader(r.Status)
	_, _ = w.Write(r.Body) // a client that is gone may ask again
}

// fail answers with what is wrong.
func (h *Handler) fail(w http.ResponseWriter, err error) {
	status, detail := http.StatusServiceUnavailable, "the request could not be written down now; it may be sent again"
	if full, ok := errors.AsType[*queue.Full](err); ok {
		after := int(math.Ceil(full.RetryAfter.Seconds()))
		w.Header().Set("Retry-After", strconv.Itoa(max(after, 1)))
		problem(w, http.StatusTooManyRequests, "the queue is full")
		return
	}
	for _, c := range []struct {
		err    error
		status int
		detail string
	}{
		{queue.ErrTooLarge, http.StatusRequestEntityTooLarge, "the body is larger than the queue takes"},
		{queue.ErrKeyReused, http.StatusUnprocessableEntity, "the Idempotency-Key was used for another request"},
		{queue.ErrNotFound, http.StatusNotFound, "there is no such request, or it is no longer remembered"},
		{errCut, http.StatusBadRequest, errCut.Error()},
		{errMethod, http.StatusMethodNotAllowed, errMethod.Error()},
	} {
		if errors.Is(err, c.err) {
			problem(w, c.status, c.detail)
			return
		}
	}
	if e, ok := errors.AsType[*refusal](err); ok {
		problem(w, e.status, e.detail)
		return
	}
	if semper.CodeOf(err) == semper.Invalid {
		problem(w, http.StatusBadRequest, strings.TrimSuffix(err.Error()+"; "+semper.HintOf(err), "; "))
		return
	}
	if semper.CodeOf(err) == semper.NoSpace {
		h.log.Warn("a request was not taken", "error", err)
		w.Header().Set("Retry-After", "30") // somebody has to make room
		problem(w, status, "there is no room to write the request down: it was not accepted, and may be sent again later")
		return
	}
	if errors.Is(err, errCrowded) {
		w.Header().Set("Retry-After", "5")
		problem(w, status, "too many clients wait already; without a stream or a wait it answers at once")
		return
	}
	h.log.Warn("a request was not taken", "error", err)
	w.Header().Set("Retry-After", "1")
	problem(w, status, detail)
}

// problem answers as RFC 9457 has it.
func problem(w http.ResponseWriter, status int, detail string) {
	w.Header().Set("Cache-Control", "no-store")
	encode(w, "application/problem+json", status, struct {
		Title  string `json:"title"`
		Status int    `json:"status"`
		Detail string `json:"detail"`
	}{http.StatusText(status), status, detail})
}

func encode(w http.ResponseWriter, kind string, status int, v any) {
	b, err := json.Marshal(v)
	if err != nil {
		http.Error(w, "the answer cannot be written", http.StatusInternalServerError)
		return
	}
	send(w, kind, status, b)
}

func send(w http.ResponseWriter, kind string, status int, b []byte) {
	w.Header().Set("Content-Type", kind)
	w.Header().Set("Content-Length", strconv.Itoa(len(b)+1))
	w.WriteHeader(status)
	_, _ = w.Write(append(b, '\n')) // a client that is gone may ask again
}
