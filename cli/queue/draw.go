package queue

import (
	"bytes"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"semper/api"
	"semper/cli/draw"
	"semper/queue"
	"semper/queue/meter"
)

func write(w io.Writer, lines []string) {
	for _, l := range lines {
		_, _ = fmt.Fprintln(w, l) // a buffer
	}
}

// table is a grid as lines.
func table(g draw.Grid) []string {
	var b bytes.Buffer
	g.Write(&b)
	return strings.Split(strings.TrimRight(b.String(), "\n"), "\n")
}

// queues are a line for each.
func queues(list []api.QueueInfo, p draw.Paint, now time.Time) []string {
	if len(list) == 0 {
		return []string{p.Dim("no queues: a service has one once it takes asynchronous requests")}
	}
	g := draw.Grid{{p.Dim("QUEUE"), p.Dim("OF"), p.Dim("STATE"), p.Dim("QUEUED"), p.Dim("DELAYED"), p.Dim("RUNNING"), p.Dim("DEAD"), p.Dim("BYTES"), p.Dim("IN"), p.Dim("OUT"), p.Dim("OLDEST")}}
	for _, q := range list {
		dead := fmt.Sprint(q.Dead)
		if q.Dead > 0 {
			dead = p.Bad(dead)
		}
		g.Row(draw.OneLine(q.Service.Service), draw.OneLine(q.App+"/"+q.Environment), stateOf(q, p),
			fmt.Sprint(q.Queued), fmt.Sprint(q.Delayed), fmt.Sprint(q.Running), dead, draw.Size(q.Bytes), perSecond(q.Activity, accepted), perSecond(q.Activity, done), age(q, now))
	}
	return table(g)
}

func accepted(c meter.Counts) uint64 { return c.Accepted }
func done(c meter.Counts) uint64     { return c.Done }

// perSecond is how many of something there were a second lately.
func perSecond(a *api.QueueActivity, n func(meter.Counts) uint64) string {
	if a == nil {
		return "-"
	}
	return strconv.FormatFloat(a.PerSecond(n), 'g', 3, 64) + "/s"
}

func age(q api.QueueInfo, now time.Time) string {
	if q.Oldest.IsZero() {
		return "-"
	}
	return draw.Span(q.Age(now))
}

// stateOf is a queue's state in a word or two; what a person has to know first comes first.
func stateOf(q api.QueueInfo, p draw.Paint) string {
	switch {
	case q.Paused != nil && q.Full:
		return p.Bad("paused, full")
	case q.Drained:
		return p.Warn("drained")
	case q.Paused != nil:
		return p.Warn("paused")
	case q.Full:
		return p.Bad("full")
	case q.Dispatcher == "":
		return p.Bad("no dispatcher")
	}
	return p.Good("open")
}

// one is all that is known of a queue.
func one(q api.QueueInfo, p draw.Paint, now time.Time) []string {
	out := []string{fmt.Sprintf("%s  %s  %s", p.Bold(draw.OneLine(q.Service.Service)), stateOf(q, p), p.Dim(draw.OneLine(q.App+"/"+q.Environment)))}
	if s := q.Paused; s != nil {
		line := "paused by " + draw.OneLine(s.Who) + " " + draw.Span(now.Sub(s.Since)) + " ago"
		if s.Why != "" {
			line += ": " + draw.OneLine(s.Why)
		}
		out = append(out, p.Warn(line))
		if !q.Drained {
			out = append(out, draw.Plural(q.Running, "job")+" still at work: it is drained when nothing runs")
		}
	}
	if q.Full {
		out = append(out, p.Bad("full: requests are answered 429 until there is room"))
	}
	if q.Dispatcher == "" {
		out = append(out, p.Bad("no process hands out its jobs: semper doctor"))
	}
	dead := fmt.Sprint(q.Dead)
	if q.Dead > 0 {
		dead = p.Bad(dead) + "  semper queue dlq " + draw.OneLine(q.Service.Service)
	}
	oldest := "-"
	if !q.Oldest.IsZero() {
		oldest = "waits for " + age(q, now)
	}
	held := q.Queued + q.Delayed + q.Running + q.Dead
	g := draw.Grid{
		{p.Dim("queued"), fmt.Sprint(q.Queued)}, {p.Dim("oldest"), oldest}, {p.Dim("delayed"), fmt.Sprint(q.Delayed)},
		{p.Dim("running"), fmt.Sprint(q.Running) + of(q.Policy.Running)}, {p.Dim("dead"), dead},
		{p.Dim("jobs"), fmt.Sprint(held) + of(q.Policy.MaxJobs)}, {p.Dim("bytes"), draw.Size(q.Bytes) + " of " + draw.Size(q.Policy.MaxBytes)},
		{p.Dim("rules"), rules(q.Policy)}, {p.Dim("last minute"), lately(q.Activity)}, {p.Dim("handed out by"), draw.OrDash(draw.OneLine(q.Dispatcher))},
	}
	out = append(append(out, ""), table(g)...)
	if len(q.Deeds) > 0 {
		out = append(append(out, ""), deeds(q.Deeds, p)...)
	}
	return out
}

// lately is what happened to a queue in the last minute.
func lately(a *api.QueueActivity) string {
	if a == nil {
		return "-"
	}
	parts := []string{fmt.Sprintf("%d accepted, %d done", a.Lately.Accepted, a.Lately.Done)}
	for _, c := range []struct {
		n    uint64
		word string
	}{{a.Lately.Failed, "attempts failed"}, {a.Lately.Dead, "died"}, {a.Lately.Full + a.Lately.Invalid + a.Lately.Unavailable, "refused"}} {
		if c.n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", c.n, c.word))
		}
	}
	if a.Half > 0 {
		parts = append(parts, fmt.Sprintf("half within %s, 99 %% within %s", draw.Span(a.Half.D()), draw.Span(a.Most.D())))
	}
	return strings.Join(parts, ", ")
}

func of(bound int) string {
	if bound == 0 {
		return ""
	}
	return " of " + fmt.Sprint(bound)
}

func rules(r api.QueuePolicy) string {
	order := map[queue.Order]string{queue.OrderNone: "no order", queue.OrderKey: "in order per key", queue.OrderStrict: "in strict order"}[r.Order]
	parts := []string{order, draw.Plural(r.MaxAttempts, "attempt"), "lease " + draw.Span(time.Duration(r.Lease))}
	if r.Rate > 0 {
		parts = append(parts, fmt.Sprintf("%g starts/s", r.Rate))
	}
	if r.PerKey > 0 {
		parts = append(parts, fmt.Sprintf("%d per key", r.PerKey))
	}
	if r.TTL > 0 {
		parts = append(parts, "expires after "+draw.Span(time.Duration(r.TTL)))
	}
	return strings.Join(parts, ", ")
}

func deeds(list []queue.Deed, p draw.Paint) []string {
	g := draw.Grid{{p.Dim("DONE"), p.Dim("BY"), p.Dim("AT"), p.Dim("JOBS"), p.Dim("WHY")}}
	for _, d := range list {
		n := "-"
		if len(d.IDs) > 0 {
			n = fmt.Sprint(len(d.IDs))
		}
		g.Row(draw.OneLine(d.What), draw.OneLine(d.Who), draw.Clock(d.At), n, draw.OrDash(draw.OneLine(d.Why)))
	}
	return table(g)
}

// jobs are a line for each.
func jobs(list []queue.Status, p draw.Paint, now time.Time) []string {
	if len(list) == 0 {
		return []string{p.Dim("none")}
	}
	g := draw.Grid{{p.Dim("JOB"), p.Dim("STATE"), p.Dim("ACCEPTED"), p.Dim("TRIES"), p.Dim("BYTES"), p.Dim("KEY"), p.Dim("SAYS")}}
	for i := range list {
		s := &list[i]
		g.Row(s.ID.String(), jobState(s.State, p), draw.Span(now.Sub(s.Accepted))+" ago", fmt.Sprint(tries(*s)), draw.Size(s.Size), draw.OrDash(draw.OneLine(s.Key)), draw.Cut(says(*s, now), 80))
	}
	return table(g)
}

// tries is how many attempts began; only the newest are kept, and each has its number.
func tries(s queue.Status) int {
	if n := len(s.Attempts); n > 0 {
		return s.Attempts[n-1].Number
	}
	return 0
}

// says is the one thing to know of a job.
func says(s queue.Status, now time.Time) string {
	last := ""
	if n := len(s.Attempts); n > 0 {
		last = ended(s.Attempts[n-1])
	}
	switch {
	case s.State == queue.Delayed:
		return "again in " + draw.Span(s.Due.Sub(now)) + ", after " + last
	case s.State == queue.Queued && s.NotBefore.After(now):
		return "not before " + draw.Clock(s.NotBefore)
	case s.State == queue.Dead && last != "":
		return last + "; " + draw.OneLine(s.Why)
	case s.Why != "":
		return draw.OneLine(s.Why)
	}
	return draw.OrDash(last)
}

func ended(a queue.Attempt) string {
	var parts []string
	if a.Status != 0 {
		parts = append(parts, fmt.Sprint(a.Status))
	}
	if a.Reason != "" {
		parts = append(parts, draw.OneLine(a.Reason))
	}
	if len(parts) == 0 && a.Ended.IsZero() {
		parts = append(parts, "it runs")
		if a.Worker != "" {
			parts = append(parts, "on "+draw.OneLine(a.Worker))
		}
	}
	return strings.Join(parts, " ")
}

func jobState(s queue.State, p draw.Paint) string {
	switch s {
	case queue.Done:
		return p.Good(string(s))
	case queue.Dead, queue.Expired:
		return p.Bad(string(s))
	case queue.Delayed:
		return p.Warn(string(s))
	case queue.Discarded:
		return p.Dim(string(s))
	}
	return string(s)
}

// life is a job from its acceptance on.
func life(j api.JobInfo, p draw.Paint, now time.Time) []string {
	out := []string{fmt.Sprintf("%s  %s  %s", p.Bold(j.ID.String()), jobState(j.State, p), draw.Size(j.Size))}
	g := draw.Grid{{p.Dim("accepted"), draw.Clock(j.Accepted) + "  " + p.Dim(draw.Span(now.Sub(j.Accepted))+" ago")}}
	row := func(name string, t time.Time) {
		if !t.IsZero() {
			g.Row(p.Dim(name), draw.Clock(t))
		}
	}
	if j.Request != nil {
		g.Row(p.Dim("request"), draw.OneLine(j.Request.Method+" "+j.Request.Target))
	}
	if j.Key != "" {
		g.Row(p.Dim("key"), draw.OneLine(j.Key))
	}
	row("not before", j.NotBefore)
	row("expires", j.Expires)
	row("next attempt", j.Due)
	row("ended", j.Ended)
	if j.Why != "" {
		g.Row(p.Dim("why"), draw.OneLine(j.Why))
	}
	if j.Response != nil {
		g.Row(p.Dim("answered"), fmt.Sprint(j.Response.Status)+"  "+draw.Size(int64(j.Response.Size)))
	}
	row("kept until", j.Kept)
	out = append(out, table(g)...)
	if len(j.Attempts) == 0 {
		return append(out, "", p.Dim("no attempt has begun"))
	}
	a := draw.Grid{{p.Dim("TRY"), p.Dim("BEGAN"), p.Dim("TOOK"), p.Dim("BY"), p.Dim("ENDED")}}
	for _, t := range j.Attempts {
		took := "-"
		if !t.Ended.IsZero() {
			took = draw.Span(t.Ended.Sub(t.Started))
		}
		a.Row(fmt.Sprint(t.Number), draw.Clock(t.Started), took, draw.OrDash(draw.OneLine(t.Worker)), draw.OrDash(ended(t)))
	}
	return append(append(out, ""), table(a)...)
}

// messages are the request of a job, and its response, as they were sent but for what is hidden.
func messages(j api.JobInfo, p draw.Paint, _ time.Time) []string {
	out := []string{p.Dim(j.ID.String() + " " + string(j.State))}
	if j.Request == nil && j.Response == nil {
		return append(out, p.Dim("neither its request nor a response is kept any more"))
	}
	if r := j.Request; r != nil {
		out = append(out, p.Bold(draw.OneLine(r.Method+" "+r.Target)), "Host: "+draw.OneLine(r.Host))
		out = append(out, content(r, p)...)
	}
	if r := j.Response; r != nil {
		out = append(out, "", p.Bold(fmt.Sprintf("answered %d", r.Status)))
		out = append(out, content(r, p)...)
	}
	return out
}

func content(m *api.JobMessage, p draw.Paint) (out []string) {
	for _, name := range slices.Sorted(maps.Keys(m.Header)) {
		for _, v := range m.Header[name] {
			out = append(out, draw.OneLine(name)+": "+draw.OneLine(v))
		}
	}
	if m.Size == 0 {
		return out
	}
	out = append(out, "")
	body := m.Body
	for n := 0; n < utf8.UTFMax && len(body) < m.Size && len(body) > 0 && !utf8.Valid(body); n++ {
		body = body[:len(body)-1] // the cut may be within a character
	}
	if !utf8.Valid(body) {
		return append(out, p.Dim(draw.Size(int64(m.Size))+" that are no text: --json has them in base64"))
	}
	out = append(out, strings.Split(strings.TrimRight(draw.Safe(string(body)), "\n"), "\n")...)
	if len(m.Body) < m.Size {
		out = append(out, p.Dim(fmt.Sprintf("… %s of %s are shown", draw.Size(int64(len(m.Body))), draw.Size(int64(m.Size)))))
	}
	return out
}
