package schedule

import (
	"fmt"
	"strings"
	"time"
	_ "time/tzdata" // what zones mean must not depend on the machine

	"github.com/robfig/cron/v3"

	"semper"
)

// A Schedule is when a cron is due. The zero value never is.
type Schedule struct {
	fields *cron.SpecSchedule // matches wall-clock times; its Location is not used
	every  time.Duration      // in place of fields
	zone   *time.Location
	wall   bool // it names hours, and goes by the wall clock
}

// allHours are the bits of the hour field that every hour has.
const allHours = 1<<24 - 1

// Parse reads five fields (minute, hour, day of month, month, day of week), or "@hourly" and its like, or "@every 90s"; and a zone of
// IANA's, empty for UTC. Its errors are [semper.Invalid].
func Parse(text, zone string) (Schedule, error) {
	loc, err := time.LoadLocation(zone)
	if err != nil || zone == "Local" {
		return Schedule{}, &semper.Error{Code: semper.Invalid, Op: "timezone", Message: fmt.Sprintf("%q is no time zone", zone), Hint: `a name of IANA's, such as "Europe/Berlin"; UTC when left out`}
	}
	text = strings.TrimSpace(text)
	if strings.Contains(text, "TZ=") {
		return Schedule{}, invalid(text, "the zone stands in the schedule", `write it beside: timezone: "Europe/Berlin"`)
	}
	parsed, err := cron.ParseStandard(text)
	if err != nil {
		return Schedule{}, invalid(text, strings.TrimSuffix(err.Error(), ": "+text), `five fields: minute, hour, day of month, month, day of week ("*/5 * * * *"); or @hourly, @daily, @weekly, @monthly, @every 90s`)
	}
	switch p := parsed.(type) {
	case cron.ConstantDelaySchedule:
		if d, err := time.ParseDuration(strings.TrimPrefix(text, "@every ")); err != nil || d < time.Second {
			return Schedule{}, invalid(text, "it is due more than once in a second", "at least @every 1s")
		}
		return Schedule{every: p.Delay, zone: loc}, nil
	case *cron.SpecSchedule:
		s := Schedule{fields: p, zone: loc, wall: p.Hour&allHours != allHours}
		if s.Next(time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)).IsZero() {
			return Schedule{}, invalid(text, "no day is like that", "does the month have that day?")
		}
		return s, nil
	}
	return Schedule{}, invalid(text, "it is of no kind that is known", "")
}

func invalid(text, message, hint string) error {
	return &semper.Error{Code: semper.Invalid, Op: "schedule", Message: fmt.Sprintf("%q is no schedule: %s", text, message), Hint: hint}
}

// Zone is whose wall clock s goes by.
func (s Schedule) Zone() *time.Location { return s.zone }

// Next is the first due time after an instant; zero for never.
func (s Schedule) Next(after time.Time) time.Time {
	switch {
	case s.every > 0:
		return after.Add(s.every)
	case s.fields == nil:
		return time.Time{}
	case !s.wall:
		return s.elapsed(after)
	}
	for face := onFace(after.In(s.zone)); ; {
		if face = s.match(face); face.IsZero() {
			return face
		}
		if at := instant(face, s.zone); at.After(after) {
			return at
		}
	}
}

// match is the first time after face whose fields match, both on a clock that never changes.
func (s Schedule) match(face time.Time) time.Time {
	fields := *s.fields
	fields.Location = time.UTC
	return fields.Next(face)
}

// elapsed goes from one change of the zone's offset to the next; between two of them a wall clock is one that never changes.
func (s Schedule) elapsed(after time.Time) time.Time {
	limit := after.AddDate(5, 0, 0) // as far as the parser's own search goes
	for at := after.In(s.zone); at.Before(limit); {
		_, end := at.ZoneBounds()
		_, offset := at.Zone()
		face := s.match(onFace(at))
		if face.IsZero() {
			return face
		}
		due := face.Add(-time.Duration(offset) * time.Second).In(s.zone)
		if end.IsZero() || due.Before(end) {
			return due
		}
		if s.matches(onFace(end)) { // by the new offset
			return end
		}
		at = end
	}
	return time.Time{}
}

// matches reports whether the fields match face itself.
func (s Schedule) matches(face time.Time) bool {
	return s.match(face.Add(-time.Second)).Equal(face)
}

// onFace is what a wall clock shows at t, as a time of a clock that never changes.
func onFace(t time.Time) time.Time {
	_, offset := t.Zone()
	return t.UTC().Add(time.Duration(offset) * time.Second)
}

// instant is when a wall clock in zone first shows face; where it never does, because clocks go forward over it, the moment in which they
// do.
func instant(face time.Time, zone *time.Location) time.Time {
	y, m, d := face.Date()
	near := time.Date(y, m, d, face.Hour(), face.Minute(), face.Second(), 0, zone)
	start, end := near.ZoneBounds() // zero where the zone has no change on that side
	var first time.Time
	for _, around := range []time.Time{start.Add(-time.Nanosecond), near, end} {
		_, offset := around.In(zone).Zone()
		at := face.Add(-time.Duration(offset) * time.Second).In(zone)
		if onFace(at).Equal(face) && (first.IsZero() || at.Before(first)) {
			first = at
		}
	}
	if !first.IsZero() {
		return first
	}
	for _, change := range []time.Time{start, end} {
		if !change.IsZero() && onFace(change.Add(-time.Nanosecond).In(zone)).Before(face) && onFace(change.In(zone)).After(face) {
			return change.In(zone)
		}
	}
	return near
}

// Last is the newest due time after one instant and not after another, and whether there were others before it; zero for none. It costs no
// more for a year that was missed than for an hour.
func (s Schedule) Last(after, upTo time.Time) (last time.Time, others bool) {
	first := s.Next(after)
	if first.IsZero() || first.After(upTo) {
		return time.Time{}, false
	}
	if s.every > 0 {
		last = after.Add(upTo.Sub(after).Truncate(s.every))
		return last, last.After(first)
	}
	last = first
	for _, back := range []time.Duration{time.Hour, 24 * time.Hour, 32 * 24 * time.Hour, 367 * 24 * time.Hour} {
		from := upTo.Add(-back)
		if !from.After(after) {
			break
		}
		if due := s.Next(from); !due.IsZero() && !due.After(upTo) {
			last = due
			break
		}
	}
	for next := s.Next(last); !next.IsZero() && !next.After(upTo); next = s.Next(last) {
		last = next
	}
	return last, last.After(first)
}
