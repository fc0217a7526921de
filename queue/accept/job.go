package accept

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"semper"
	"semper/internal/inbox"
	"semper/queue"
)

// The fields by which a client says how its request is to be done.
const (
	callbackField  = "Semper-Callback"   // who is told of the end
	priorityField  = "Semper-Priority"   // -9 to 9
	notBeforeField = "Semper-Not-Before" // seconds, or a time
	ttlField       = "Semper-TTL"        // seconds
)

// ours are fields that are for this process, or speak of this connection: the instance does not get them.
var ours = []string{
	inbox.Field, "Prefer", "Connection", "Content-Length", "Expect", "Te", "Trailer", "Upgrade", callbackField, priorityField, notBeforeField, ttlField,
}

// job is what is written down of a request: what the instance gets of it, and how its client wants it done.
func job(r *http.Request, body []byte, in Inbox, now time.Time) (j queue.Job, err error) {
	header := r.Header.Clone()
	for _, name := range ours {
		header.Del(name)
	}
	j = queue.Job{
		DedupKey: r.Header.Get("Idempotency-Key"),
		Request:  queue.Request{Method: r.Method, Target: r.URL.RequestURI(), Host: r.Host, Header: header, Body: body},
	}
	if j.Key, err = key(r.Header, body, in.Settings); err != nil {
		return j, err
	}
	if j.Callback, err = callback(r.Header, in); err != nil {
		return j, err
	}
	return wish(j, r.Header, in.Settings.Filled(), now)
}

// key is what decides the lane. A request that has none is free.
func key(h http.Header, body []byte, s queue.Settings) (string, error) {
	if s.KeyPointer == "" {
		return h.Get(s.KeyField), nil
	}
	p, err := queue.ReadPointer(s.KeyPointer)
	if err != nil {
		return "", err
	}
	return p.Text(body)
}

// wish is j as its client wants it, within what the service lets clients ask for.
func wish(j queue.Job, h http.Header, s queue.Settings, now time.Time) (queue.Job, error) {
	if text, ok, err := only(h, priorityField); err != nil {
		return j, err
	} else if ok {
		n, err := strconv.Atoi(text)
		if err != nil || n < -9 || n > 9 {
			return j, bad(priorityField, "%q is no number from -9 to 9", text)
		}
		if n > s.Wishes.Priority {
			return j, bad(priorityField, "%d is above %d, the highest that clients of this service may ask for", n, s.Wishes.Priority)
		}
		j.Priority = n
	}
	if text, ok, err := only(h, notBeforeField); err != nil {
		return j, err
	} else if ok {
		at, ok := when(text, now)
		if !ok {
			return j, bad(notBeforeField, `%q is neither a number of seconds nor a time such as "2026-11-21T20:00:00Z"`, text)
		}
		if at.Sub(now) > s.Wishes.Delay {
			return j, bad(notBeforeField, "%q is later than %s from now, the longest that clients of this service may ask for", text, s.Wishes.Delay)
		}
		if at.After(now) {
			j.NotBefore = at
		}
	}
	text, ok, err := only(h, ttlField)
	if err != nil || !ok {
		return j, err
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 || n > 1<<30 {
		return j, bad(ttlField, "%q is no number of seconds", text)
	}
	ttl := time.Duration(n) * time.Second
	if s.TTL > 0 && ttl > s.TTL {
		return j, bad(ttlField, "%s is longer than %s, the longest that requests of this service wait", ttl, s.TTL)
	}
	j.Expires = now.Add(ttl)
	if j.NotBefore.After(now) {
		j.Expires = j.NotBefore.Add(ttl)
	}
	return j, nil
}

// only is the value of a field that may be there once.
func only(h http.Header, name string) (value string, ok bool, err error) {
	switch all := h.Values(name); len(all) {
	case 0:
		return "", false, nil
	case 1:
		return strings.TrimSpace(all[0]), true, nil
	}
	return "", false, bad(name, "it is there more than once")
}

// when reads a number of seconds from now, an HTTP-date (RFC 9110 section 5.6.7) or a time of RFC 3339.
func when(text string, now time.Time) (time.Time, bool) {
	if n, err := strconv.Atoi(text); err == nil {
		return now.Add(time.Duration(min(n, 1<<30)) * time.Second), n >= 0
	}
	if t, err := http.ParseTime(text); err == nil {
		return t, true
	}
	t, err := time.Parse(time.RFC3339, text)
	return t, err == nil
}

// bad is the refusal of a field that says what it may not.
func bad(field, format string, args ...any) error {
	return &refusal{http.StatusBadRequest, field + ": " + fmt.Sprintf(format, args...)}
}

// A refusal is a request that is not taken as it is, and why.
type refusal struct {
	status int
	detail string
}

func (e *refusal) Error() string { return e.detail }

// callback is who is told of the end.
func callback(h http.Header, in Inbox) (string, error) {
	c := in.Settings.Callbacks
	to, said, err := only(h, callbackField)
	switch {
	case err != nil || !said && c == nil:
		return "", err
	case !said:
		return c.To, nil
	case c == nil:
		return "", &refusal{http.StatusUnprocessableEntity, callbackField + ": this service tells nobody of ends: its semper.yaml has no jobs.callbacks"}
	}
	if err := in.Allows(to); semper.CodeOf(err) == semper.Invalid {
		return "", bad(callbackField, "%v; %s", err, semper.HintOf(err))
	} else if err != nil {
		return "", &refusal{http.StatusUnprocessableEntity, callbackField + ": " + err.Error()}
	}
	return to, nil
}
