package pull

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"semper"
	"semper/queue"
)

// Field names of what is said of a job that is given.
const (
	keyField      = "Semper-Job-Key"
	priorityField = "Semper-Job-Priority"
	delayField    = "Semper-Job-Delay" // seconds
)

// enqueue takes a job from the app itself.
func (h *Handler) enqueue(w http.ResponseWriter, r *http.Request) {
	who, ok := h.who(w, r)
	if !ok {
		return
	}
	to := r.URL.Query().Get("to")
	if to == "" {
		problem(w, http.StatusBadRequest, "to= is missing: the service of the app that is to do the job")
		return
	}
	q, settings, ok := h.o.Queue(semper.NamePool(who.App, who.Environment, to))
	if !ok {
		retry(w, 1)
		problem(w, http.StatusServiceUnavailable, fmt.Sprintf("service %q of %s has no queue, or none yet: jobs: {} in semper.yaml gives it one when its release is connected", to, who.App))
		return
	}
	body, ok := h.body(w, r, int64(settings.Filled().MaxBody))
	if !ok {
		return
	}
	j, err := given(r, body, settings, time.Now())
	if err != nil {
		problem(w, http.StatusBadRequest, err.Error())
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), patience)
	defer cancel()
	receipt, err := q.Enqueue(ctx, j)
	if err != nil {
		h.fail(w, err)
		return
	}
	_ = reply(w, http.StatusAccepted, struct { // an app that is gone asks again, under the same Idempotency-Key
		ID        queue.ID `json:"id"`
		Duplicate bool     `json:"duplicate,omitempty"`
	}{receipt.ID, receipt.Duplicate})
}

// given is the job that r asks for.
func given(r *http.Request, body []byte, s queue.Settings, now time.Time) (j queue.Job, err error) {
	path := r.URL.Query().Get("path")
	if path == "" {
		path = "/"
	}
	if u, err := url.ParseRequestURI(path); err != nil || !strings.HasPrefix(path, "/") || u.Host != "" {
		return j, fmt.Errorf("path=%s: a path that begins with /, and perhaps a query", path)
	}
	j = queue.Job{
		Key: r.Header.Get(keyField), DedupKey: r.Header.Get("Idempotency-Key"),
		Request: queue.Request{Method: http.MethodPost, Target: path, Host: "jobs.semper", Header: http.Header{}, Body: body},
	}
	if j.Key == "" && s.KeyField != "" {
		j.Key = r.Header.Get(s.KeyField)
	}
	for name, values := range r.Header {
		switch name {
		case keyField, priorityField, delayField, "Connection", "Content-Length", "Expect", "Te", "Trailer", "Upgrade", "User-Agent", "Accept", "Accept-Encoding":
		default:
			j.Request.Header[name] = values
		}
	}
	if text := r.Header.Get(priorityField); text != "" {
		if j.Priority, err = strconv.Atoi(text); err != nil || j.Priority < -9 || j.Priority > 9 {
			return j, fmt.Errorf("%s: %s: a number from -9 to 9", priorityField, text)
		}
	}
	if text := r.Header.Get(delayField); text != "" {
		n, err := strconv.ParseFloat(text, 64)
		if err != nil || !(n >= 0 && n <= 365*86400) {
			return j, fmt.Errorf("%s: %s: seconds, at most a year of them", delayField, text)
		}
		j.NotBefore = now.Add(time.Duration(n * float64(time.Second)))
	}
	return j, nil
}
