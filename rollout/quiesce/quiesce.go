package quiesce

import (
	"encoding/json"
	"fmt"
	"semper/internal/argv"
	"strings"
	"time"

	"semper"
)

// A Way is one way to tell a worker something, or to ask it. Exactly one is set.
type Way struct {
	Signal string   `json:"signal,omitempty"` // to its main process
	HTTP   string   `json:"http,omitempty"`   // path of a request to its port or socket: POST to tell, GET to ask
	Exec   []string `json:"exec,omitempty"`   // argv, run as the instance's user in its artifact
}

// Given reports whether w says anything.
func (w Way) Given() bool { return w.Signal != "" || w.HTTP != "" || len(w.Exec) > 0 }

// String is w in words.
func (w Way) String() string {
	switch {
	case w.Signal != "":
		return w.Signal
	case w.HTTP != "":
		return "a request to " + w.HTTP
	}
	return argv.Line(w.Exec)
}

// Terms are what a release says of one service.
type Terms struct {
	Tell Way `json:"tell"`
	// Busy succeeds (a status below 400, exit code 0) while the worker has jobs, Drained when it has none. One of them is given.
	Busy    Way `json:"busy,omitzero"`
	Drained Way `json:"drained,omitzero"`
}

// Read is what a service has stored; false where it has nothing.
func Read(s semper.Service) (t Terms, ok bool) {
	return t, len(s.Quiesce) > 0 && json.Unmarshal(s.Quiesce, &t) == nil && t.Tell.Given()
}

// Untold is what somebody should know of a worker that could not be told, because of err: it takes jobs as before.
func (t Terms) Untold(now time.Time, u semper.InstanceSpec, err error) semper.Event {
	return semper.Event{At: now, Kind: "worker.untold", App: u.App, Environment: u.Environment, Release: u.Release, Instance: u.ID,
		Message: fmt.Sprintf("%s takes jobs still: %s, which tells it to take no more, failed: %v; tried again each second until its drain is over", u.ID, t.Tell, err)}
}

// Drains is what a look at a worker says: whether it holds nothing any more.
func (t Terms) Drains(succeeded bool) bool { return succeeded == t.Drained.Given() }

// Look is how the worker is looked at.
func (t Terms) Look() Way {
	if t.Drained.Given() {
		return t.Drained
	}
	return t.Busy
}

// A Fault is what is wrong with one key of terms.
type Fault struct{ Key, Message, Hint string }

// Check tells what cannot be gone by; listens is whether the service can be asked over HTTP.
func (t Terms) Check(listens bool) (all []Fault) {
	if !t.Tell.Given() {
		all = append(all, Fault{"quiesce", "it does not say how the worker is told to take no more jobs", `add "signal: SIGTSTP", "http: /quiesce" or "exec: COMMAND"`})
	}
	if t.Busy.Given() == t.Drained.Given() {
		all = append(all, Fault{"quiesce", "how to see that the worker has no job left is not said in one way", `add "busy: COMMAND" or "drained: COMMAND"`})
	}
	for _, k := range []struct {
		key string
		way Way
	}{{"quiesce.http", t.Tell}, {"quiesce.busy", t.Busy}, {"quiesce.drained", t.Drained}} {
		key, w := k.key, k.way
		switch {
		case w.HTTP != "" && !listens:
			all = append(all, Fault{key, "a request needs a service that listens, and this worker does not", `add "listen: port", or use a command`})
		case w.HTTP != "" && !strings.HasPrefix(w.HTTP, "/"):
			all = append(all, Fault{key, fmt.Sprintf("%q is not a path", w.HTTP), "begin with /"})
		}
	}
	return all
}
