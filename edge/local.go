package edge

import (
	"errors"
	"net/http"
	"strconv"

	"semper/edge/epoch"
	"semper/edge/files"
	"semper/edge/ledger"
	"semper/edge/message"
	"semper/edge/route"
)

// A site is a directory that a rule answers with. It is open for as long as a request may go by its snapshot.
type site struct {
	*files.Handler
	users epoch.Count
}

// openSites opens the directories of rules, by the index of the rule. idle is called when one has no user any more.
func openSites(m *route.Matcher, idle func()) (map[int]*site, error) {
	sites := make(map[int]*site)
	for i := range m.Rules() {
		f, ok := m.Rules()[i].Action.(*route.Files)
		if !ok {
			continue
		}
		h, err := files.New(files.Options(*f))
		if err != nil {
			return nil, errors.Join(err, closeSites(sites))
		}
		sites[i] = &site{Handler: h}
		sites[i].users.OnIdle(idle)
	}
	return sites, nil
}

func closeSites(sites map[int]*site) error {
	var errs []error
	for _, s := range sites {
		errs = append(errs, s.Close())
	}
	return errors.Join(errs...)
}

// retireSites closes the directories of s, which is not current any more, as soon as nobody uses them.
func (s *snapshot) retireSites(e *Edge) {
	for _, site := range s.sites {
		site.users.Retire()
		e.retired = append(e.retired, site)
	}
}

// closeRetired closes directories that nobody uses any more. e.registry is held.
func (e *Edge) closeRetired() {
	left := e.retired[:0]
	for _, s := range e.retired {
		if !s.users.Idle() {
			left = append(left, s)
			continue
		}
		if err := s.Close(); err != nil {
			e.log.Warn("a directory that is served no more is not closed", "error", err)
		}
	}
	clear(e.retired[len(left):])
	e.retired = left
}

// local answers by itself, as the request's rule says.
func (x *exchange) local() {
	w := &answerer{ResponseWriter: x.w, x: x}
	h := x.w.Header()
	h[message.RequestID] = []string{x.id}
	switch a := x.rule.Action.(type) {
	case *route.Redirect:
		h.Set("Location", string(x.rule.AppendLocation(nil, &x.query)))
		h.Set("Content-Length", "0")
		w.WriteHeader(a.Status)
	case *route.Respond:
		w.respond(a)
	case *route.Files:
		s := x.rule.site
		if !x.edge.current.Claim(x.snap, &s.users) {
			x.fail(refuseChanged, ledger.EdgeErrors)
			return
		}
		defer s.users.Release()
		s.ServeHTTP(w, x.r)
	}
	x.status = w.status
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
	if w.x.r.Method != http.MethodHead {
		w.Write(a.Body) //nolint:errcheck // a client that is gone misses nothing
	}
}

// An answerer is the writer of an answer of this edge's own: with the fields that the rule wants, and in the place of a
// file that is not there the rule's page.
type answerer struct {
	http.ResponseWriter
	x      *exchange
	status int
	page   bool // it has taken the place of the answer
}

// WriteHeader implements http.ResponseWriter.
func (w *answerer) WriteHeader(status int) {
	if w.status != 0 || status < 200 {
		return
	}
	w.status = status
	p := &w.x.rule.Policy
	message.Edit(w.Header(), p.Headers.Response)
	if _, ok := w.x.rule.Action.(*route.Files); !ok || status < http.StatusBadRequest {
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
	if w.x.r.Method != http.MethodHead {
		w.ResponseWriter.Write(page.Body) //nolint:errcheck // a client that is gone misses nothing
	}
}

// Write implements http.ResponseWriter.
func (w *answerer) Write(b []byte) (int, error) {
	w.WriteHeader(http.StatusOK)
	if w.page {
		return len(b), nil
	}
	return w.ResponseWriter.Write(b)
}

// Unwrap is for http.ResponseController.
func (w *answerer) Unwrap() http.ResponseWriter { return w.ResponseWriter }
