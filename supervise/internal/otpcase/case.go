package otpcase

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"semper/supervise"
)

// A Case is a tree of supervisors and what befalls it.
type Case struct {
	Name  string `json:"name"`
	Tree  Tree   `json:"tree"`
	Steps []Step `json:"steps,omitempty"`
}

// A Tree is one supervisor with all below it. Absent settings have OTP's defaults.
type Tree struct {
	Strategy     string  `json:"strategy,omitempty"`      // one_for_one
	Intensity    *int    `json:"intensity,omitempty"`     // 1
	Period       int     `json:"period,omitempty"`        // seconds; 5
	AutoShutdown string  `json:"auto_shutdown,omitempty"` // never
	Children     []Child `json:"children,omitempty"`      // of simple_one_for_one: one, from which all are made
}

// A Child is a child spec and how that child behaves: a supervisor if it has a tree, else a worker.
type Child struct {
	ID          string   `json:"id,omitempty"`
	Restart     string   `json:"restart,omitempty"`     // permanent
	Shutdown    Shutdown `json:"shutdown,omitempty"`    // 5000; of a supervisor infinity
	Type        string   `json:"type,omitempty"`        // worker; supervisor if it has a tree
	Significant bool     `json:"significant,omitempty"` //
	Tree        *Tree    `json:"tree,omitempty"`
	OnStop      string   `json:"on_stop,omitempty"` // what a worker that is asked to stop ends with; "ignore": it does not
	Starts      []string `json:"starts,omitempty"`  // what becomes of its first starts
}

// A Step is one fault, call or wait. Which fields it has depends on Do.
type Step struct {
	Do         string   `json:"do"`
	Child      string   `json:"child,omitempty"`      // the path of a child: ids joined by "/"
	Reason     string   `json:"reason,omitempty"`     // of exit
	Starts     []string `json:"starts,omitempty"`     // of starts
	Supervisor string   `json:"supervisor,omitempty"` // of start_child: the path of the supervisor; the root if absent
	Spec       *Child   `json:"spec,omitempty"`       // of start_child
	Ms         int      `json:"ms,omitempty"`         // of advance
}

// Shutdown is the shutdown of a child spec: milliseconds, "brutal_kill" or "infinity", as package supervise has it.
type Shutdown time.Duration

// UnmarshalJSON reads the three forms.
func (s *Shutdown) UnmarshalJSON(text []byte) error {
	var word string
	if json.Unmarshal(text, &word) == nil {
		switch word {
		case "brutal_kill":
			*s = Shutdown(supervise.Brutal)
			return nil
		case "infinity":
			*s = Shutdown(supervise.Infinity)
			return nil
		}
	}
	var ms int
	if json.Unmarshal(text, &ms) != nil || ms < 1 || ms > maxMs {
		return fmt.Errorf(`shutdown is %s: want milliseconds from 1 to %d, "brutal_kill" or "infinity"`, text, maxMs)
	}
	*s = Shutdown(time.Duration(ms) * time.Millisecond)
	return nil
}

// MarshalJSON writes the form that UnmarshalJSON reads.
func (s Shutdown) MarshalJSON() ([]byte, error) {
	switch d := time.Duration(s); {
	case d == supervise.Brutal:
		return []byte(`"brutal_kill"`), nil
	case d == supervise.Infinity:
		return []byte(`"infinity"`), nil
	case d > 0:
		return fmt.Append(nil, d.Milliseconds()), nil
	}
	return nil, errors.New("a shutdown of zero has no JSON form: leave it out")
}

const (
	// maxMs bounds one wait, so that a slip of the pen does not look like a hang.
	maxMs = 3_600_000
	// timed is the period in seconds under which the moments of a case matter.
	timed = 60
)

// The words of a case.
var (
	strategies    = []string{"one_for_one", "rest_for_one", "one_for_all", simple}
	restarts      = []string{"permanent", "transient", "temporary"}
	autoShutdowns = []string{"never", "any_significant", "all_significant"}
	types         = []string{"worker", "supervisor"}
	reasons       = []string{"normal", "shutdown", "shutdown_term", "crash", "kill"}
	manners       = []string{"shutdown", "normal", "crash", "ignore"}
	outcomes      = []string{"ok", "fail", "raise", "ignore", "taken", "block"}
)

const simple = "simple_one_for_one"

func (t *Tree) dynamic() bool { return t.Strategy == simple }

func (t *Tree) intensity() int {
	if t.Intensity == nil {
		return 1
	}
	return *t.Intensity
}

func (t *Tree) period() int {
	if t.Period == 0 {
		return 5
	}
	return t.Period
}

// timed reports whether a window of the tree is short enough for time to matter.
func (t *Tree) timed() bool {
	if t.period() < timed {
		return true
	}
	for _, c := range t.Children {
		if c.Tree != nil && c.Tree.timed() {
			return true
		}
	}
	return false
}

// index is the place of word in words, 0 if it is absent; validate has refused all others.
func index(words []string, word string) int {
	for i, w := range words {
		if w == word {
			return i
		}
	}
	return 0
}

// join makes the path of a child from its supervisor's.
func join(path, id string) string {
	if path == "" {
		return id
	}
	return path + "/" + id
}
