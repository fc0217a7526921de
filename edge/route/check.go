package route

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// action looks at what a rule does and makes it ready.
func (c *compiler) action(r *Rule) {
	switch a := r.Action.(type) {
	case *Forward:
		f := *a // the total is this matcher's
		r.Action = &f
		c.forward(r, &f)
	case *Redirect:
		d := *a
		r.Action = &d
		c.redirect(r, &d)
	case *Respond:
		d := *a
		r.Action, a = &d, &d
		if a.Status == 0 {
			a.Status = 200
		}
		if a.Status < 200 || a.Status > 599 {
			c.add(r, "respond.status", "%d is not the status of a response: it is from 200 to 599", a.Status)
		}
		if (a.Status == 204 || a.Status == 304) && len(a.Body) > 0 {
			c.add(r, "respond.body", "a response with status %d has no body: remove it", a.Status)
		}
		c.fields(r, "respond.headers", a.Fields)
	case *Files:
		if a.Dir == "" {
			c.add(r, "files.dir", "no directory is named: name one")
		}
	default:
		c.add(r, "to", "the rule does nothing: say to, redirect, respond or files")
	}
}

func (c *compiler) forward(r *Rule, f *Forward) {
	if len(f.Pools) == 0 {
		c.add(r, "to", "no pool is named: name one")
		return
	}
	f.total = 0
	for i, s := range f.Pools {
		if s.Weight < 0 || s.Weight > 1_000_000 {
			c.add(r, "to", "pool %q has the weight %d: it is from 0 to 1000000", s.Pool, s.Weight)
		}
		if slices.ContainsFunc(f.Pools[:i], func(o Share) bool { return o.Pool == s.Pool }) {
			c.add(r, "to", "pool %q is named twice: add up its weights", s.Pool)
		}
		f.total += uint64(max(0, s.Weight))
	}
	if len(f.Pools) > 1 && f.total == 0 {
		c.add(r, "to", "every pool has the weight 0: give one of them more")
	}
}

func (c *compiler) redirect(r *Rule, d *Redirect) {
	switch d.Status {
	case 0:
		d.Status = 308
	case 301, 302, 303, 307, 308:
	default:
		c.add(r, "redirect.status", "%d does not redirect: it is 301, 302, 303, 307 or 308", d.Status)
	}
	var err error
	if r.location, err = parseTemplate(d.To); err != nil {
		c.check(r, "redirect.to", err)
	}
}

func (c *compiler) fields(r *Rule, key string, fields Fields) {
	for _, f := range fields {
		c.check(r, key, checkField(f.Name, f.Value))
	}
}

func (c *compiler) names(r *Rule, key string, names []string) {
	for _, n := range names {
		c.check(r, key, checkName(n))
	}
}

// policy looks at what no type can tell, and at how settings fit together.
func (c *compiler) policy(r *Rule) {
	p := &r.Policy
	var err error
	if r.rewrite, err = p.Rewrite.ready(r.Match.Exact); err != nil {
		c.check(r, "rewrite", err)
	}
	for _, e := range []struct {
		key string
		*Edit
	}{{"headers.request", &p.Headers.Request}, {"headers.response", &p.Headers.Response}} {
		c.names(r, e.key+".remove", e.Remove)
		c.fields(r, e.key+".set", e.Set)
		c.fields(r, e.key+".add", e.Add)
	}
	c.retry(r, p)
	c.bounds(r, p)
	c.stickiness(r, p)
	c.words(r, p)
}

func (c *compiler) retry(r *Rule, p *Policy) {
	for _, on := range p.Retry.On {
		if on == "connect" || on == "reset" {
			continue
		}
		if n, err := strconv.Atoi(on); err != nil || n < 500 || n > 599 {
			c.add(r, "retry.on", "%q is nothing to retry on: it is connect, reset or a status from 500 to 599", on)
		}
	}
	if p.Hedge.Quantile < 0 || p.Hedge.Quantile >= 1 {
		c.add(r, "hedge.quantile", "%v is not a share of the requests: it is from 0 to 0.999", p.Hedge.Quantile)
	}
	if p.Hedge.Share < 0 || p.Hedge.Share > 1 {
		c.add(r, "hedge.share", "%v is not a share of the requests: it is from 0 to 1", p.Hedge.Share)
	}
	if p.Hedge.Content > MostHedged {
		c.add(r, "hedge.content", "%d bytes are more than the %d that are kept to be sent again", p.Hedge.Content, MostHedged)
	}
}

func (c *compiler) bounds(r *Rule, p *Policy) {
	for _, b := range []struct {
		key string
		n   int64
	}{
		{"timeouts.connect", int64(p.Timeouts.Connect)}, {"timeouts.response", int64(p.Timeouts.Response)}, {"timeouts.body", int64(p.Timeouts.Body)},
		{"timeouts.min_rate", int64(p.Timeouts.MinRate)}, {"timeouts.write", int64(p.Timeouts.Write)}, {"timeouts.stream", int64(p.Timeouts.Stream)},
		{"limits.body", int64(p.Limits.Body)}, {"limits.head", int64(p.Limits.Head)}, {"retry.tries", int64(p.Retry.Tries)},
		{"max_in_flight", int64(p.MaxInFlight)}, {"queue.length", int64(p.Queue.Length)}, {"queue.deadline", int64(p.Queue.Deadline)},
		{"max_stream_age", int64(p.MaxStreamAge)}, {"hedge.after", int64(p.Hedge.After)}, {"hedge.content", int64(p.Hedge.Content)},
	} {
		if b.n < 0 {
			c.add(r, b.key, "%d is below 0: leave it out, or write 0 for no bound", b.n)
		}
	}
	if p.Queue.Length > 0 && p.Queue.Deadline == 0 {
		c.add(r, "queue.deadline", "who waits has no deadline: give one")
	}
	for i, l := range p.RateLimit {
		key := fmt.Sprintf("rate_limit[%d]", i)
		if l.Requests < 1 || l.Period <= 0 || l.Burst < 0 {
			c.add(r, key, "%d requests in %s, %d at once, are no limit: all of them have to be above 0", l.Requests, l.Period, l.Burst)
		} else if l.Period/time.Duration(l.Requests) < time.Microsecond {
			c.add(r, key, "%d requests in %s are more than one per microsecond, which cannot be measured: leave the limit out", l.Requests, l.Period)
		}
	}
}

// releaseCookie is the name where clients stick to a release and none is said.
const releaseCookie = "semper-release"

func (c *compiler) stickiness(r *Rule, p *Policy) {
	s := &p.Sticky
	if s.Cookie == "" && s.By == ByRelease {
		s.Cookie = releaseCookie
	}
	if s.For != 0 && s.By != ByRelease {
		c.add(r, "sticky.for", "the time is about releases: add by: release, or leave it out")
	}
	if s.Cookie == "" {
		return
	}
	if !isToken(s.Cookie) {
		c.add(r, "sticky.cookie", "%q is not the name of a cookie: letters, digits, dashes and underscores", s.Cookie)
	}
	if s.Age <= 0 {
		c.add(r, "sticky.age", "%s is no time: give more", s.Age)
	}
	if strings.HasPrefix(s.Cookie, "__Host-") || strings.HasPrefix(s.Cookie, "__Secure-") {
		if r.Match.Scheme != "https" {
			c.add(r, "sticky.cookie", "browsers take %s over https only: add scheme: https, or use another name", s.Cookie)
		}
	}
}

// words looks at settings that are one of several words; what is left out is filled in.
func (c *compiler) words(r *Rule, p *Policy) {
	for _, w := range []struct {
		key  string
		word *string
		all  []string
	}{
		{"balance.algorithm", (*string)(&p.Balance.Algorithm), []string{"least", "round-robin", "least-time", "rendezvous", "maglev"}},
		{"shadow", (*string)(&p.Shadow), []string{"safe", "all", "off"}},
		{"class", (*string)(&p.Class), []string{"normal", "critical", "background"}},
		{"sticky.by", (*string)(&p.Sticky.By), []string{"instance", "release"}},
		{"sticky.same_site", &p.Sticky.SameSite, []string{"lax", "strict", "none"}},
	} {
		if *w.word == "" {
			*w.word = w.all[0]
		}
		if !slices.Contains(w.all, *w.word) {
			c.add(r, w.key, "%q is not one of %s", *w.word, strings.Join(w.all, ", "))
		}
	}
	if p.Balance.Algorithm.Hashes() && p.Balance.Key.IsZero() {
		p.Balance.Key = Key{From: FromClient}
	}
	for _, a := range p.Compress.Algorithms {
		if a != "gzip" && a != "zstd" {
			c.add(r, "compress.algorithms", "%q is not an algorithm: it is gzip or zstd", a)
		}
	}
}
