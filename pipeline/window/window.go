package window

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
	_ "time/tzdata" // what zones mean must not depend on the machine

	"semper"
)

// A Window is a parsed [semper.Window]. The zero value always allows.
type Window struct {
	allow, deny []span
	zone        *time.Location
}

const (
	day  = 24 * 60
	week = 7 * day
)

// A span is a range of wall-clock time: minutes of the week from Monday 0:00, or dates.
type span struct {
	from, to         int // minutes of a week; to is not in it, and is at most from where the span goes over the end of the week
	dates            bool
	firstDay, behind civil // dates: the first day, and the first behind the last
}

// A civil is a day on the calendar, as a number that compares: 20261231.
type civil int

// An Error is a range or zone that cannot be read.
type Error struct {
	Key  string // "allow", "deny", "zone"
	Text string
	Why  string
	Hint string
}

func (e *Error) Error() string { return fmt.Sprintf("%s: %q %s", e.Key, e.Text, e.Why) }

// Parse reads w. The error is an [*Error].
func Parse(w semper.Window) (Window, error) {
	out := Window{zone: time.UTC}
	if w.Zone != "" {
		zone, err := time.LoadLocation(w.Zone)
		if err != nil || w.Zone == "Local" {
			return Window{}, &Error{"zone", w.Zone, "is not a time zone", "write one like Europe/Berlin or America/New_York"}
		}
		out.zone = zone
	}
	if w.Allow == "" && w.Deny == "" {
		return Window{}, &Error{"deny", "", "is empty: nothing is allowed or denied", hint}
	}
	for _, list := range []struct {
		key, text string
		into      *[]span
	}{{"allow", w.Allow, &out.allow}, {"deny", w.Deny, &out.deny}} {
		if list.text == "" {
			continue
		}
		for part := range strings.SplitSeq(list.text, ",") {
			spans, why := parse(strings.TrimSpace(part))
			if why != "" {
				return Window{}, &Error{list.key, strings.TrimSpace(part), why, hint}
			}
			*list.into = append(*list.into, spans...)
		}
	}
	return out, nil
}

const hint = `write "Fri 16:00-Mon 08:00", "Mon-Thu 09:00-16:00", "daily 22:00-06:00" or "2026-12-20-2027-01-06"`

// parse reads one range; why says what is wrong with it.
func parse(s string) (spans []span, why string) {
	if len(s) >= 10 && s[4] == '-' && s[7] == '-' {
		return dates(s)
	}
	from, to, ok := strings.Cut(s, "-")
	if !ok {
		return nil, "is no range"
	}
	if d, at, ok := moment(from); ok {
		if e, end, ok := moment(to); ok { // Fri 16:00-Mon 08:00
			if d*day+at == e*day+end {
				return nil, "is empty"
			}
			return []span{{from: d*day + at, to: e*day + end}}, ""
		}
	}
	days, times, ok := strings.Cut(s, " ")
	if !ok {
		return nil, "names no time"
	}
	on, ok := weekdays(days)
	if !ok {
		return nil, "names no days of the week"
	}
	a, b, ok := strings.Cut(strings.TrimSpace(times), "-")
	at, ok1 := clock(a)
	end, ok2 := clock(b)
	switch {
	case !ok || !ok1 || !ok2:
		return nil, "has no range of times"
	case at == end:
		return nil, "is empty"
	case end < at:
		end += day // until the next morning
	}
	for _, d := range on {
		spans = append(spans, span{from: d*day + at, to: (d*day + end) % week})
	}
	return spans, ""
}

func dates(s string) ([]span, string) {
	first, last := s[:10], s[:10]
	if len(s) == 21 && s[10] == '-' {
		last = s[11:]
	} else if len(s) != 10 {
		return nil, "is no range of dates"
	}
	a, err := time.Parse(time.DateOnly, first)
	b, err2 := time.Parse(time.DateOnly, last)
	switch {
	case err != nil || err2 != nil:
		return nil, "has a day that is not on the calendar"
	case b.Before(a):
		return nil, "ends before it begins"
	}
	return []span{{dates: true, firstDay: civilOf(a), behind: civilOf(b.AddDate(0, 0, 1))}}, ""
}

func civilOf(t time.Time) civil { return civil(t.Year()*10000 + int(t.Month())*100 + t.Day()) }

// moment reads "Fri 16:00".
func moment(s string) (d, at int, ok bool) {
	name, hour, ok := strings.Cut(strings.TrimSpace(s), " ")
	if !ok {
		return 0, 0, false
	}
	d, ok1 := weekday(name)
	at, ok2 := clock(hour)
	return d, at, ok1 && ok2 && at < day
}

// weekdays reads "Mon-Thu", "Mon" and "daily".
func weekdays(s string) ([]int, bool) {
	if strings.EqualFold(s, "daily") {
		return []int{0, 1, 2, 3, 4, 5, 6}, true
	}
	from, to, ranged := strings.Cut(s, "-")
	a, ok := weekday(from)
	b := a
	if ranged && ok {
		b, ok = weekday(to)
	}
	if !ok {
		return nil, false
	}
	out := []int{a}
	for a != b {
		a = (a + 1) % 7
		out = append(out, a)
	}
	return out, true
}

var names = []string{"mon", "tue", "wed", "thu", "fri", "sat", "sun"}

// weekday counts from Monday.
func weekday(s string) (int, bool) {
	i := slices.Index(names, strings.ToLower(strings.TrimSpace(s)))
	return i, i >= 0
}

// clock reads "16:00" as minutes of a day, up to 24:00.
func clock(s string) (int, bool) {
	h, m, ok := strings.Cut(strings.TrimSpace(s), ":")
	if !ok || len(h) < 1 || len(h) > 2 || len(m) != 2 {
		return 0, false
	}
	hour, err := strconv.ParseUint(h, 10, 8)
	minute, err2 := strconv.ParseUint(m, 10, 8)
	if err != nil || err2 != nil || minute > 59 || hour > 24 || hour == 24 && minute > 0 {
		return 0, false
	}
	return int(hour)*60 + int(minute), true
}

// Open reports whether a change is allowed at t.
func (w Window) Open(t time.Time) bool {
	if w.zone == nil {
		return true
	}
	t = t.In(w.zone)
	in := func(s span) bool { return s.has(t) }
	return !slices.ContainsFunc(w.deny, in) && (len(w.allow) == 0 || slices.ContainsFunc(w.allow, in))
}

func (s span) has(t time.Time) bool {
	if s.dates {
		c := civilOf(t)
		return s.firstDay <= c && c < s.behind
	}
	m := (int(t.Weekday())+6)%7*day + t.Hour()*60 + t.Minute()
	if s.from < s.to {
		return s.from <= m && m < s.to
	}
	return m >= s.from || m < s.to // over the end of the week
}

// Next is the first instant after t at which the answer of Open is another than at t; ok is false when there is none.
func (w Window) Next(t time.Time) (next time.Time, ok bool) {
	if w.zone == nil {
		return time.Time{}, false
	}
	local, now := t.In(w.zone), w.Open(t)
	best := time.Time{}
	for _, c := range w.candidates(local) {
		// Where clocks are put back, a wall-clock time comes twice, and time.Date names only one of the two.
		for _, at := range []time.Time{c.Add(-time.Hour), c, c.Add(time.Hour)} {
			if at.After(t) && w.Open(at) != now && (best.IsZero() || at.Before(best)) {
				best = at
			}
		}
	}
	if best.IsZero() {
		return best, false
	}
	return w.earliest(t, best, now), true
}

// earliest is the first minute in (from, to] at which the answer is not now, by halving: to is near the change.
func (w Window) earliest(from, to time.Time, now bool) time.Time {
	low := to.Add(-2 * time.Hour)
	if low.Before(from) {
		low = from
	}
	for at := low.Truncate(time.Minute); at.Before(to); at = at.Add(time.Minute) {
		if at.After(from) && w.Open(at) != now {
			return at
		}
	}
	return to
}

// candidates are the instants around which the answer may change.
func (w Window) candidates(local time.Time) []time.Time {
	var out []time.Time
	year, month, monthday := local.Date()
	monday := monthday - (int(local.Weekday())+6)%7
	begins := []time.Time{local}
	for _, s := range slices.Concat(w.allow, w.deny) {
		if !s.dates {
			continue
		}
		for _, c := range []civil{s.firstDay, s.behind} {
			at := time.Date(int(c/10000), time.Month(c/100%100), int(c%100), 0, 0, 0, 0, w.zone)
			out = append(out, at)
			if at.After(local) {
				begins = append(begins, at) // behind a freeze the times of the week count again
			}
		}
	}
	for _, begin := range begins {
		if begin != local {
			year, month, monthday = begin.Date()
			monday = monthday - (int(begin.Weekday())+6)%7
		}
		for _, s := range slices.Concat(w.allow, w.deny) {
			if s.dates {
				continue
			}
			for _, m := range []int{s.from, s.to} {
				for weeks := range 2 {
					out = append(out, time.Date(year, month, monday+7*weeks+m/day, 0, m%day, 0, 0, w.zone))
				}
			}
		}
	}
	return out
}
