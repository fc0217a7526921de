// Package local gives the answers that an edge makes itself as its rules say: redirects, answers that stand in a rule, and
// files.
package local

import (
	"errors"
	"log/slog"
	"net/http"
	"slices"
	"strconv"

	"semper/edge/epoch"
	"semper/edge/files"
	"semper/edge/message"
	"semper/edge/refusal"
	"semper/edge/route"
)

// A Site is a directory that a rule answers with. It is open for as long as a request may go by its snapshot.
type Site struct {
	*files.Handler // nil: the directory is not there
	Users          epoch.Count
}

// Open opens the directories of rules, by the index of the rule. idle is called when one has no user any more.
func Open(m *route.Matcher, idle func()) (map[int]*Site, error) {
	sites := make(map[int]*Site)
	err := each(m, func(i int, f *route.Files) error {
		h, err := files.New(files.Options(*f))
		sites[i] = newSite(h, idle)
		return err
	})
	if err != nil {
		return nil, errors.Join(err, Close(sites))
	}
	return sites, nil
}

// OpenEach is Open for rules of which one must not stop the others: where a directory cannot be opened, log is told, and the
// rule answers that it is not there.
func OpenEach(m *route.Matcher, idle func(), log *slog.Logger) map[int]*Site {
	sites := make(map[int]*Site)
	each(m, func(i int, f *route.Files) error { //nolint:errcheck // it is told
		h, err := files.New(files.Options(*f))
		if err != nil {
			log.Error("a route cannot answer with its files", "route", m.Rules()[i].Name, "directory", f.Dir, "within", f.Within, "error", err)
		}
		sites[i] = newSite(h, idle)
		return nil
	})
	return sites
}

// each calls f for the rules that answer with files, until one fails.
func each(m *route.Matcher, f func(int, *route.Files) error) error {
	for i := range m.Rules() {
		if a, ok := m.Rules()[i].Action.(*route.Files); ok {
			if err := f(i, a); err != nil {
				return err
			}
		}
	}
	return nil
}

func newSite(h *files.Handler, idle func()) *Site {
	s := &Site{Handler: h}
	s.Users.OnIdle(idle)
	return s
}

// Close closes the directory.
func (s *Site) Close() error {
	if s.Handler == nil {
		return nil
	}
	return s.Handler.Close()
}

// Close closes them.
func Close(sites map[int]*Site) error {
	var errs []error
	for _, s := range sites {
		errs = append(errs, s.Close())
	}
	return errors.Join(errs...)
}

// Retired are directories that are served no more, each open until nobody uses it. It belongs to one goroutine at a time.
type Retired []*Site

// Add adds those of rules that are not current any more.
func (r *Retired) Add(sites map[int]*Site) {
	for _, s := range sites {
		s.Users.Retire()
		*r = append(*r, s)
	}
}

// Close closes those that nobody uses any more. What cannot be closed is told log.
func (r *Retired) Close(log *slog.Logger) {
	*r = slices.DeleteFunc(*r, func(s *Site) bool {
		if !s.Users.Idle() {
			return false
		}
		if err := s.Close(); err != nil {
			log.Warn("a directory that is served no more is not closed", "error", err)
		}
		return true
	})
}

// A Request is what is answered.
type Request struct {
	Rule  *route.Rule // whose action is none of Forward
	Site  *Site       // of Files, in use
	Query *route.Query
	ID    string
}

// Answer answers, and says with which status, and how many bytes of content.
func Answer(to http.ResponseWriter, r *http.Request, q Request) (status int, sent int64) {
	w := &answerer{ResponseWriter: to, rule: q.Rule, head: r.Method == http.MethodHead}
	h := to.Header()
	h[message.RequestID] = []string{q.ID}
	if opens(r, q.Rule.Action) {
		refusal.Socket.Answer(w, r, q.ID, nil)
		return w.status, w.sent
	}
	switch a := q.Rule.Action.(type) {
	case *route.Redirect:
		h.Set("Location", string(q.Rule.AppendLocation(nil, q.Query)))
		h.Set("Content-Length", "0")
		w.WriteHeader(a.Status)
	case *route.Respond:
		w.respond(a)
	case *route.Files:
		if q.Site.Handler == nil {
			refusal.Files.Answer(w, r, q.ID, nil)
			break
		}
		q.Site.ServeHTTP(w, r)
	}
	return w.status, w.sent
}

// opens reports whether success would tell the client that it has the WebSocket it asks for: no 101 says so over HTTP/2 and
// HTTP/3 (RFC 8441, 5).
func opens(r *http.Request, a route.Action) bool {
	if r.ProtoMajor < 2 || message.UpgradeOf(r) == "" {
		return false
	}
	switch a := a.(type) {
	case *route.Respond:
		return a.Status/100 == 2
	case *route.Files:
		return true
	}
	return false
}

func (w *answerer) respond(a *route.Respond) {
	h := w.Header()
	h.Set("Content-Type", "text/plain; charset=utf-8")
	seen := make(map[string]bool, len(a.Fields))
	for _, f := range a.Fields {
		if !seen[f.Name] {
			h.Del(f.Name)
		}
		seen[f.Name] = true
		h.Add(f.Name, f.Value)
	}
	if a.Status != http.StatusNoContent && a.Status != http.StatusNotModified {
		h.Set("Content-Length", strconv.Itoa(len(a.Body)))
	}
	w.WriteHeader(a.Status)
	if !w.head {
		w.Write(a.Body) //nolint:errcheck // a client that is gone misses nothing
	}
}

// An answerer is the writer of an answer of this edge's own: with the fields that the rule wants, and in the place of a
// file that is not there the rule's page.
type answerer struct {
	http.ResponseWriter
	rule   *route.Rule
	head   bool // the request is HEAD
	status int
	sent   int64
	page   bool // it has taken the place of the answer
}

// WriteHeader implements http.ResponseWriter.
func (w *answerer) WriteHeader(status int) {
	if w.status != 0 || status < 200 {
		return
	}
	w.status = status
	p := &w.rule.Policy
	message.Edit(w.Header(), p.Headers.Response)
	if _, ok := w.rule.Action.(*route.Files); !ok || status < http.StatusBadRequest {
		w.ResponseWriter.WriteHeader(status)
		return
	}
	page := p.Page(status)
	if page == nil {
		w.ResponseWriter.WriteHeader(status)
		return
	}
	w.page = true
	w.Header().Set("Content-Type", page.Type)
	w.Header().Set("Content-Length", strconv.Itoa(len(page.Body)))
	w.ResponseWriter.WriteHeader(status)
	if !w.head {
		w.send(page.Body) //nolint:errcheck // a client that is gone misses nothing
	}
}

// Write implements http.ResponseWriter.
func (w *answerer) Write(b []byte) (int, error) {
	w.WriteHeader(http.StatusOK)
	if w.page {
		return len(b), nil
	}
	return w.send(b)
}

func (w *answerer) send(b []byte) (int, error) {
	n, err := w.ResponseWriter.Write(b)
	w.sent += int64(n)
	return n, err
}

// Unwrap is for http.ResponseController.
func (w *answerer) Unwrap() http.ResponseWriter { return w.ResponseWriter }
