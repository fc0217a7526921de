package web

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"semper/api"
	"semper/queue"
	"semper/queue/meter"
)

func jobMark(s queue.State) mark {
	switch s {
	case queue.Done:
		return mark{"check", "ok", string(s)}
	case queue.Dead:
		return mark{"cross", "bad", string(s)}
	case queue.Expired:
		return mark{"square", "warn", string(s)}
	case queue.Delayed:
		return mark{"tri", "warn", string(s)}
	case queue.Running:
		return mark{"half", "busy", string(s)}
	case queue.Discarded:
		return mark{"square", "off", string(s)}
	}
	return mark{"ring", "off", string(s)}
}

// tries is how many attempts began; only the newest are kept, and each has its number.
func tries(s queue.Status) int {
	if n := len(s.Attempts); n > 0 {
		return s.Attempts[n-1].Number
	}
	return 0
}

// attemptSays is how an attempt ended, or that it has not.
func attemptSays(a queue.Attempt) string {
	switch {
	case a.Ended.IsZero():
		return "it runs"
	case a.Status != 0 && strings.Contains(a.Reason, fmt.Sprint(a.Status)), a.Status == 0:
		return a.Reason
	case a.Reason == "":
		return fmt.Sprint(a.Status)
	}
	return fmt.Sprintf("%d %s", a.Status, a.Reason)
}

// jobSays is the one thing to know of a job.
func jobSays(s queue.Status) string {
	last := ""
	if n := len(s.Attempts); n > 0 {
		last = attemptSays(s.Attempts[n-1])
	}
	if s.Why != "" && last != "" && s.Why != last {
		return last + "; " + s.Why
	}
	if s.Why != "" {
		return s.Why
	}
	return last
}

// mayDeploy is whether who looks may also do something.
func mayDeploy(l *look) bool { return l.Caller.Role.Includes(api.Deployer) }

// A tab leads to the jobs in a state.
type tab struct {
	State queue.State
	Count string // empty: it is not known
	Here  bool
}

func tabs(q *queueLook) []tab {
	out := []tab{
		{State: queue.Dead, Count: num(q.Info.Dead)}, {State: queue.Running, Count: num(q.Info.Running)}, {State: queue.Queued, Count: num(q.Info.Queued)},
		{State: queue.Delayed, Count: num(q.Info.Delayed)}, {State: queue.Done}, {State: queue.Expired}, {State: queue.Discarded},
	}
	for i := range out {
		out[i].Here = out[i].State == q.State
	}
	return out
}

// flows are the last hour of a queue as pictures; none before there are two points.
func flows(past []meter.Point) []chart {
	if len(past) < 2 {
		return nil
	}
	step := meter.Step.Seconds()
	rate := func(of func(*meter.Point) uint64) func(*meter.Point) float64 {
		return func(p *meter.Point) float64 { return float64(of(p)) / step }
	}
	known := func(of func(*meter.Point) float64) func(*meter.Point) float64 {
		return func(p *meter.Point) float64 {
			if p.Blind {
				return math.NaN()
			}
			return of(p)
		}
	}
	whole := func(x float64) string { return num(int(x)) }
	age := func(x float64) string {
		return took(time.Duration(x * float64(time.Second)).Round(100 * time.Millisecond))
	}
	return []chart{
		plot(past, "Jobs per second", func(x float64) string { return perSecond(round3(x)) },
			curve{"accepted", "accepted", rate(func(p *meter.Point) uint64 { return p.Accepted })},
			curve{"done", "done", rate(func(p *meter.Point) uint64 { return p.Done })},
			curve{"failed", "attempts failed", rate(func(p *meter.Point) uint64 { return p.Failed })}),
		plot(past, "Jobs", whole,
			curve{"accepted", "waiting", known(func(p *meter.Point) float64 { return float64(p.Waiting) })},
			curve{"done", "running", known(func(p *meter.Point) float64 { return float64(p.Running) })},
			curve{"failed", "dead", known(func(p *meter.Point) float64 { return float64(p.Buried) })}),
		plot(past, "The oldest has waited", age, curve{"accepted", "oldest", known(func(p *meter.Point) float64 { return p.Oldest })}),
	}
}

// A curve is one line of a plot before it is drawn.
type curve struct {
	class, name string
	at          func(*meter.Point) float64 // NaN: nothing is known
}

// plot puts curves on one scale from 0 on.
func plot(past []meter.Point, title string, words func(float64) string, curves ...curve) chart {
	most := 0.0
	for i := range past {
		for _, c := range curves {
			if x := c.at(&past[i]); x > most {
				most = x
			}
		}
	}
	c := chart{Title: title, Top: words(most)}
	if most == 0 {
		most, c.Top = 1, "none"
	}
	for _, u := range curves {
		l := line{Class: u.class, Name: u.name}
		var part []string
		for i := range past {
			x := u.at(&past[i])
			if !math.IsNaN(x) {
				part = append(part, point(chartWidth*float64(i)/float64(len(past)-1), high(x, most)))
				l.Last = words(x)
			}
			if (math.IsNaN(x) || i == len(past)-1) && part != nil {
				l.Parts, part = append(l.Parts, strings.Join(part, " ")), nil
			}
		}
		c.Lines = append(c.Lines, l)
	}
	return c
}

// reach is how long a time the past covers.
func reach(past []meter.Point) string {
	if len(past) == 0 {
		return ""
	}
	return took((time.Duration(len(past)) * meter.Step).Round(time.Minute))
}

// rulesOf are what a queue goes by, as far as it says more than the usual.
func rulesOf(p api.QueuePolicy) []string {
	out := []string{map[queue.Order]string{queue.OrderNone: "no order", queue.OrderKey: "in order per key", queue.OrderStrict: "in strict order"}[p.Order]}
	out = append(out, fmt.Sprintf("%d attempts", p.MaxAttempts), "an attempt may take "+took(p.Lease.D()))
	for _, r := range []struct {
		n    float64
		word string
	}{{float64(p.Running), "%g at a time"}, {float64(p.PerKey), "%g at a time per key"}, {p.Rate, "%g starts a second"}} {
		if r.n > 0 {
			out = append(out, fmt.Sprintf(r.word, r.n))
		}
	}
	if p.TTL > 0 {
		out = append(out, "expires after "+took(p.TTL.D()))
	}
	return append(out, "holds "+num(p.MaxJobs)+" jobs and "+bytesOf(p.MaxBytes))
}

// A shownMessage is a request or a response as a page shows it.
type shownMessage struct {
	First  string // its first line
	Fields []string
	Body   string
	Note   string // what is to be known of the body
	Hidden []string
}

func messageOf(m *api.JobMessage) shownMessage {
	s := shownMessage{First: m.Method + " " + m.Target, Hidden: m.Hidden}
	if m.Status != 0 {
		s.First = fmt.Sprintf("answered %d", m.Status)
	}
	if m.Host != "" {
		s.Fields = append(s.Fields, "Host: "+m.Host)
	}
	for _, name := range slices.Sorted(maps.Keys(m.Header)) {
		for _, v := range m.Header[name] {
			s.Fields = append(s.Fields, name+": "+v)
		}
	}
	switch {
	case m.Size == 0:
		s.Note = "no content"
	case !utf8.Valid(whole(m)):
		s.Note = bytesOf(int64(m.Size)) + ", not text"
	default:
		s.Body, s.Note = string(whole(m)), bytesOf(int64(m.Size))
		if len(m.Body) < m.Size {
			s.Note = "the first " + bytesOf(int64(len(m.Body))) + " of " + s.Note
		}
	}
	return s
}

// whole is the content that is there, less a character of which only the beginning is.
func whole(m *api.JobMessage) []byte {
	b := m.Body
	if len(b) < m.Size {
		for range utf8.UTFMax - 1 {
			if r, n := utf8.DecodeLastRune(b); r == utf8.RuneError && n == 1 {
				b = b[:len(b)-1]
			}
		}
	}
	return b
}
