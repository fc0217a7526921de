package accept

import (
	"fmt"
	"net/http"

	"semper"
	"semper/internal/inbox"
	"semper/queue"
)

// The fields by which a client says how its request is to be done.
const callbackField = "Semper-Callback"

// ours are fields that are for this process, or speak of this connection: the instance does not get them.
var ours = []string{inbox.Field, "Prefer", "Connection", "Content-Length", "Expect", "Te", "Trailer", "Upgrade", callbackField}

// job is what is written down of a request: what the instance gets of it, and how its client wants it done.
func job(r *http.Request, body []byte, in Inbox) (queue.Job, error) {
	header := r.Header.Clone()
	for _, name := range ours {
		header.Del(name)
	}
	j := queue.Job{
		DedupKey: r.Header.Get("Idempotency-Key"),
		Request:  queue.Request{Method: r.Method, Target: r.URL.RequestURI(), Host: r.Host, Header: header, Body: body},
	}
	if field := in.Settings.KeyField; field != "" {
		j.Key = r.Header.Get(field)
	}
	var err error
	j.Callback, err = callback(r.Header, in)
	return j, err
}

// A refusal is a request that is not taken as it is, and why.
type refusal struct {
	status int
	detail string
}

func (e *refusal) Error() string { return e.detail }

// callback is who is told of the end.
func callback(h http.Header, in Inbox) (string, error) {
	c, said := in.Settings.Callbacks, h.Values(callbackField)
	switch {
	case len(said) == 0 && c == nil:
		return "", nil
	case len(said) == 0:
		return c.To, nil
	case c == nil:
		return "", &refusal{http.StatusUnprocessableEntity, callbackField + ": this service tells nobody of ends: its semper.yaml has no jobs.callbacks"}
	case len(said) > 1:
		return "", &refusal{http.StatusBadRequest, callbackField + ": it is there more than once"}
	}
	if err := in.Allows(said[0]); semper.CodeOf(err) == semper.Invalid {
		return "", &refusal{http.StatusBadRequest, fmt.Sprintf("%s: %v; %s", callbackField, err, semper.HintOf(err))}
	} else if err != nil {
		return "", &refusal{http.StatusUnprocessableEntity, fmt.Sprintf("%s: %v", callbackField, err)}
	}
	return said[0], nil
}
