package words

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"semper"
	"semper/edge/route"
	"semper/internal/strict"
)

// What an app's route gets that says nothing: see [Base].
const (
	Tries     = 8
	BodyIdle  = time.Minute      // in which a client has to send some of a request's content
	WriteIdle = 90 * time.Second // in which it has to take some of its answer
	MinRate   = 100              // bytes a second that a request's content has to bring in the long run
)

// Base is the policy of an app's route that says nothing. It bounds what a client could do without end, and leaves an app's
// instances all the time that they take: nobody but the app knows how long its answers may.
func Base() Policy {
	p := route.DefaultPolicy()
	p.Timeouts = route.Timeouts{Connect: 3 * time.Second, Body: BodyIdle, MinRate: MinRate, Write: WriteIdle}
	p.Limits = route.Limits{}
	p.Retry.Tries = Tries
	return Policy{Policy: p}
}

// BasePool is how instances of an app are treated that says nothing of it. Whether one is well is for semper to say, which
// started it.
func BasePool() Pool {
	var p Pool
	strict.Defaults(&p)
	p.Outlier.Consecutive, p.PanicThreshold = 0, 0
	return p
}

// Fresh puts defaults into what is about to be read, where a type of this package or of package route has any.
func Fresh(v any) {
	switch v := v.(type) {
	case *route.Redirect, *Respond, *route.Files, *route.RateLimit:
		strict.Defaults(v)
	}
}

// carried is a policy as tables have it: pages are there, not the names of their files.
type carried struct {
	route.Policy
	Spread
	Pages map[string]page `yaml:"pages" doc:"Error pages, by statuses."`
}

type page struct {
	Type string `yaml:"type" doc:"Content-Type."`
	Body string `yaml:"body" doc:"Body."`
}

// A Route is all that a file says of a route in these words.
type Route struct {
	Match
	Spread
	Answer
	Policy
}

// Carry is what the source says of the route at path, for a table; what is wrong is noted. Policies are of the route, or of
// defaults.
func (s Source) Carry(path, defaults string, r *Route) semper.RouteWords {
	at := func(key string) bool { return s.Given(path + "." + key) }
	var w semper.RouteWords
	w.Match = strict.Write(&r.Match, at)
	w.Answer = s.carryAnswer(path, r.Answer, at)
	c := carried{Policy: r.Policy.Policy, Spread: r.Spread, Pages: s.carryPages(path, defaults, r.ErrorPages)}
	w.Policy = strict.Write(&c, func(key string) bool {
		if key == "pages" || strings.HasPrefix(key, "pages.") {
			return len(c.Pages) > 0
		}
		return at(key) || s.Given(defaults+"."+key)
	})
	return w
}

func (s Source) carryAnswer(path string, a Answer, at func(string) bool) json.RawMessage {
	name := ""
	if a.Respond != nil {
		name = a.Respond.File
	}
	made, ok := s.Respond(path+".respond", a.Respond).(*route.Respond)
	if !ok {
		return strict.Write(&a, at)
	}
	s.text(path+".respond.file", name, made.Body)
	a.Respond = &Respond{Respond: *made, Body: string(made.Body)}
	return strict.Write(&a, func(key string) bool {
		switch key {
		case "respond.file":
			return false
		case "respond.body":
			return len(made.Body) > 0
		case "respond.headers":
			return len(made.Fields) > 0
		}
		return at(key)
	})
}

func (s Source) carryPages(path, defaults string, files map[string]string) map[string]page {
	at := func(statuses string) string {
		if at := strict.Join(path+".error_pages", statuses); s.Given(at) {
			return at
		}
		return strict.Join(defaults+".error_pages", statuses)
	}
	pages := map[string]page{}
	for _, statuses := range slices.Sorted(maps.Keys(files)) {
		for _, p := range s.ErrorPages(at, map[string]string{statuses: files[statuses]}) {
			s.text(at(statuses), files[statuses], p.Body)
			pages[statuses] = page{p.Type, string(p.Body)}
		}
	}
	return pages
}

// maxText is how much of a body a table carries: each edge has every table in memory and on disk.
const maxText = 32 << 10

// text notes a body that a table cannot carry.
func (s Source) text(at, file string, body []byte) {
	switch {
	case len(body) > maxText:
		s.Problem(at, fmt.Sprintf("%s has %d bytes, more than the %d of an answer that every edge keeps", file, len(body), maxText), "let a service answer it")
	case !utf8.Valid(body):
		s.Problem(at, file+" is not text in UTF-8", "let a service answer it")
	}
}

// CarryPool is what the source says of the pool whose keys stand below path.
func (s Source) CarryPool(path string, p *Pool) json.RawMessage {
	return strict.Write(p, func(key string) bool { return s.Given(path + "." + key) })
}

// Read puts what a table says of a route into r, whose host, path and action without words are there. What a newer semper wrote
// that this one does not know is passed over if lenient is set; r has what fits then. The error tells all that does not.
func Read(w semper.RouteWords, r *route.Rule, lenient bool) error {
	var m Match
	matchDoc, err := read("match", w.Match, &m, lenient)
	s := Source{Doc: matchDoc}
	if w.Match != nil {
		r.Match.Scheme, r.Match.Methods, r.Match.Conditions = m.Scheme, m.Methods, s.Conditions("", &m)
		if m.Exact != "" {
			r.Match.Path, r.Match.Exact = m.Exact, true
		}
	}
	var a Answer
	answerDoc, err2 := read("answer", w.Answer, &a, lenient)
	switch {
	case a.Redirect != nil:
		r.Action = a.Redirect
	case a.Respond != nil:
		r.Action = Source{Doc: answerDoc}.Respond("respond", a.Respond)
	case a.Files != nil:
		s := Source{Doc: answerDoc}
		s.Files("files", a.Files)
		r.Action, err2 = a.Files, errors.Join(err2, answerDoc.Err())
	}
	c := carried{Policy: Base().Policy}
	policyDoc, err3 := read("policy", w.Policy, &c, lenient)
	r.Policy = c.Policy
	spread(&c.Spread, r)
	r.Policy.Patient = !policyDoc.Given("timeouts.body")
	for statuses, p := range c.Pages {
		if from, to, ok := statusRange(statuses); ok {
			r.Policy.ErrorPages = append(r.Policy.ErrorPages, route.ErrorPage{From: from, To: to, Type: p.Type, Body: []byte(p.Body)})
		}
	}
	return errors.Join(err, err2, err3)
}

// ReadPool is what a table says of a pool. See [Read] for lenient and the error.
func ReadPool(words json.RawMessage, lenient bool) (Pool, error) {
	p := BasePool()
	_, err := read("pool", words, &p, lenient)
	return p, err
}

// Tester is the conditions of t, which stands at path; what is wrong is noted.
func (s Source) Tester(path string, t *Tester) []route.Condition {
	return s.Conditions(path, &Match{Header: t.Header, Cookie: t.Cookie, Query: t.Query})
}

// CarryTesters is what the source says of testers, a list at path, for a split; [ReadTesters] reads it.
func (s Source) CarryTesters(path string, all []Tester) json.RawMessage {
	list := make([]json.RawMessage, len(all))
	for i := range all {
		at := fmt.Sprintf("%s[%d].", path, i)
		list[i] = strict.Write(&all[i], func(key string) bool { return s.Given(at + key) })
	}
	b, err := json.Marshal(list)
	if err != nil { // they are JSON
		return nil
	}
	return b
}

// ReadTesters is what a split says of testers: each of them is conditions that a request has to meet all. One of whom not all is
// understood is left out, for without a condition others would be testers too; the error tells.
func ReadTesters(said json.RawMessage) (all [][]route.Condition, err error) {
	var list []json.RawMessage
	if len(said) > 0 {
		if err := json.Unmarshal(said, &list); err != nil {
			return nil, fmt.Errorf("testers: %w", err)
		}
	}
	for i, one := range list {
		var t Tester
		d, _ := read(fmt.Sprintf("testers[%d]", i), one, &t, false) //nolint:errcheck // asked below, when all is noted
		c := Source{Doc: d}.Tester("", &t)
		if len(c) == 0 {
			d.Problem("", "a tester without a condition would be everybody", "say header, cookie or query")
		}
		if e := d.Err(); e != nil {
			err = errors.Join(err, e)
			continue
		}
		all = append(all, c)
	}
	return all, err
}

// read reads the words of a table; there may be none.
func read(name string, words json.RawMessage, v any, lenient bool) (*strict.Doc, error) {
	o := strict.Options{New: Fresh, Lenient: lenient}
	if len(words) == 0 || string(words) == "null" {
		return strict.Begin(name, nil, o), nil
	}
	d := strict.Read(name, words, v, o)
	return d, d.Err()
}
