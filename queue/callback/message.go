package callback

import (
	"encoding/json"
	"net/http"
	"time"
	"unicode/utf8"

	"semper/internal/inbox"
	"semper/queue"
)

// MaxBody is the largest body of a response that a message has inside. Larger ones are at the Location.
const MaxBody = 256 << 10

// message is what a client is told, in the form of Standard Webhooks.
type message struct {
	Type      string    `json:"type"` // request.done, request.dead, request.discarded, request.expired
	Timestamp time.Time `json:"timestamp"`
	Data      data      `json:"data"`
}

type data struct {
	ID       queue.ID    `json:"id"`
	Location string      `json:"location"` // on the host that took the request
	State    queue.State `json:"state"`
	Accepted time.Time   `json:"accepted"`
	Attempts int         `json:"attempts"`
	Why      string      `json:"why,omitempty"` // it is not done
	Response *response   `json:"response,omitempty"`
}

// response is that of the instance; a body has one of the two forms, or only its size.
type response struct {
	Status int         `json:"status"`
	Header http.Header `json:"header,omitempty"`
	Size   int         `json:"size"`
	Text   *string     `json:"body,omitempty"`        // it is UTF-8
	Bytes  []byte      `json:"body_base64,omitempty"` // it is not
}

// kept are the fields of a response that go into a message: what says how its body is to be read. Others are at the Location.
var kept = []string{"Content-Type", "Content-Encoding", "Content-Language", "Etag", "Last-Modified", "Location"}

// describe is the message of a job's end.
func describe(s queue.Status) ([]byte, error) {
	d := data{ID: s.ID, Location: inbox.Path + "/" + s.ID.String(), State: s.State, Accepted: s.Accepted.UTC(), Attempts: attempts(s), Why: s.Told()}
	if r := s.Result; r != nil && s.State == queue.Done {
		out := &response{Status: r.Status, Size: len(r.Body), Header: http.Header{}}
		for _, name := range kept {
			if v := r.Header.Values(name); len(v) > 0 {
				out.Header[name] = v
			}
		}
		switch {
		case len(r.Body) > MaxBody || len(r.Body) == 0:
		case utf8.Valid(r.Body):
			text := string(r.Body)
			out.Text = &text
		default:
			out.Bytes = r.Body
		}
		d.Response = out
	}
	return json.Marshal(message{Type: "request." + string(s.State), Timestamp: s.Ended.UTC(), Data: d})
}

// attempts is how many there were.
func attempts(s queue.Status) int {
	if n := len(s.Attempts); n > 0 {
		return s.Attempts[n-1].Number
	}
	return 0
}
