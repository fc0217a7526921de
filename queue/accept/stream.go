package accept

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"semper/queue"
)

// eventStream is the media type of server-sent events: https://html.spec.whatwg.org/multipage/server-sent-events.html
const eventStream = "text/event-stream"

// streams is whether r asks for the states of its job as they come.
func streams(r *http.Request) bool {
	if r.Method != http.MethodGet {
		return false
	}
	for _, line := range r.Header.Values("Accept") {
		for item := range strings.SplitSeq(line, ",") {
			kind, parameters, _ := strings.Cut(item, ";")
			if strings.EqualFold(strings.TrimSpace(kind), eventStream) && strings.ReplaceAll(parameters, " ", "") != "q=0" {
				return true
			}
		}
	}
	return false
}

// An event is a state that a job has come to.
type event struct {
	place int // in the life of the job: rises, and the same state of it has the same place for ever
	State queue.State
	At    time.Time
	Tried int       // attempts begun
	Due   time.Time // of the next attempt
	over  *queue.Status
}

// life is what a job has gone through, the newest last, as its status tells: so a client that comes back misses nothing, whoever
// told it before. Of very many attempts the oldest are no longer known.
func life(s queue.Status) []event {
	all := []event{{State: queue.Queued, At: s.Accepted}}
	for i, a := range s.Attempts {
		all = append(all, event{place: 2*a.Number - 1, State: queue.Running, At: a.Started, Tried: a.Number})
		last := i == len(s.Attempts)-1
		if a.Ended.IsZero() || last && s.State.Terminal() {
			continue
		}
		e := event{place: 2 * a.Number, State: queue.Delayed, At: a.Ended, Tried: a.Number}
		if last {
			e.Due = s.Due
		}
		all = append(all, e)
	}
	if s.State.Terminal() {
		tried := all[len(all)-1].Tried
		all = append(all, event{place: 2*tried + 1, State: s.State, At: s.Ended, Tried: tried, over: &s})
	}
	return all
}

// id is what a client that comes back says, as Last-Event-ID, to have seen. The end has one of its own kind: an attempt that was
// given back leaves its place to the next.
func (e event) id() string {
	if e.over != nil {
		return ended + strconv.Itoa(e.Tried)
	}
	return strconv.Itoa(e.place)
}

const ended = "end-"

// news is what of all comes after the event called seen. The end always does, unless it is that.
func news(all []event, seen string) []event {
	place := -1
	if n, err := strconv.Atoi(strings.TrimPrefix(seen, ended)); err == nil {
		place = n
		if strings.HasPrefix(seen, ended) { // and somebody has let it be tried again
			place = 2 * n
		}
	}
	for i, e := range all {
		if e.id() == seen {
			return all[i+1:]
		}
		if e.place > place || e.over != nil {
			return all[i:]
		}
	}
	return nil
}

// text is e as it is sent. How attempts went is not for clients: reasons may name what is inside.
func (e event) text(id queue.ID) []byte {
	v := struct {
		ID       queue.ID    `json:"id"`
		State    queue.State `json:"state"`
		At       time.Time   `json:"at"`
		Attempts int         `json:"attempts,omitempty"`
		Due      time.Time   `json:"due,omitzero"`
		Status   int         `json:"status,omitempty"` // of the response, which the Location has
		Detail   string      `json:"detail,omitempty"`
	}{ID: id, State: e.State, At: e.At.UTC(), Attempts: e.Tried, Due: e.Due}
	if e.over != nil {
		v.Detail = e.over.Why
		if e.over.Result != nil && e.State == queue.Done {
			v.Status = e.over.Result.Status
		}
	}
	b, err := json.Marshal(v)
	if err != nil { // times beyond the year 9999
		return nil
	}
	return fmt.Appendf(nil, "id: %s\nevent: %s\ndata: %s\n\n", e.id(), e.State, b)
}

const (
	heartbeat = 15 * time.Second // below what proxies wait for something to come
	sending   = 30 * time.Second // of one write: who takes nothing for as long is gone
)

// between is how long not to look at a job that was accepted so long ago. Its end is heard of at once, whatever this is.
func between(age time.Duration) time.Duration {
	return min(max(age/10, 250*time.Millisecond), 5*time.Second)
}

// stream sends the states of a job, those after the last that the client has seen, and ends after the last of all. A client that
// comes back after that gets 204, which tells it to come no more.
func (h *Handler) stream(w http.ResponseWriter, r *http.Request, d Inbox, s queue.Status) {
	seen := r.Header.Get("Last-Event-ID")
	w.Header().Set("Cache-Control", "no-store")
	if s.State.Terminal() && len(news(life(s), seen)) == 0 {
		w.WriteHeader(http.StatusNoContent)
		return
	}
	up, ok := h.sit()
	if !ok {
		h.fail(w, errCrowded)
		return
	}
	defer up()
	w.Header().Set("Content-Type", eventStream)
	w.Header().Set("X-Accel-Buffering", "no") // of proxies in front that would collect it
	c := http.NewResponseController(w)
	defer c.SetWriteDeadline(time.Time{}) //nolint:errcheck // of the next answer on the connection
	said := time.Now()
	send := func(text []byte) error {
		said = time.Now()
		_ = c.SetWriteDeadline(said.Add(sending)) // the edge is on the other side: it has deadlines of its own
		if _, err := w.Write(text); err != nil {
			return err
		}
		return c.Flush()
	}
	if send([]byte("retry: 1000\n\n")) != nil {
		return
	}
	for {
		for _, e := range news(life(s), seen) {
			if send(e.text(s.ID)) != nil || e.over != nil {
				return
			}
			seen = e.id()
		}
		if time.Since(said) >= heartbeat && send([]byte(": still here\n\n")) != nil {
			return
		}
		var err error
		if s, err = look(r.Context(), d, s); err != nil {
			return // it comes back, and hears what is wrong with a status
		}
	}
}

// look is the status of a job when it is over, or some time after s was.
func look(ctx context.Context, d Inbox, s queue.Status) (queue.Status, error) {
	short, cancel := context.WithTimeout(ctx, between(time.Since(s.Accepted)))
	defer cancel()
	s, err := d.Wait(short, s.ID)
	return s, cmp.Or(context.Cause(ctx), err)
}
