package schedule_test

import (
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"
	"time"

	"semper"
	"semper/task/schedule"
)

func mustParse(t *testing.T, text, zone string) schedule.Schedule {
	t.Helper()
	s, err := schedule.Parse(text, zone)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func at(t *testing.T, text string) time.Time {
	t.Helper()
	v, err := time.Parse(time.RFC3339, text)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// The nights in which clocks change, in words.
func TestChangesOfClocks(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ what, text, zone, after, want string }{
		{"left out: once clocks have gone forward", "30 2 * * *", "Europe/Berlin", "2026-03-28T12:00:00Z", "2026-03-29T01:00:00Z 2026-03-30T00:30:00Z"},
		{"left out several times: once", "*/15 2 * * *", "Europe/Berlin", "2026-03-29T00:50:00Z", "2026-03-29T01:00:00Z 2026-03-30T00:00:00Z"},
		{"left out beside one that is there: once", "0 2,3 * * *", "Europe/Berlin", "2026-03-28T12:00:00Z", "2026-03-29T01:00:00Z 2026-03-30T00:00:00Z 2026-03-30T01:00:00Z"},
		{"comes twice: the first time", "30 2 * * *", "Europe/Berlin", "2026-10-24T12:00:00Z", "2026-10-25T00:30:00Z 2026-10-26T01:30:00Z"},
		{"comes twice, from between the two", "30 2 * * *", "Europe/Berlin", "2026-10-25T00:45:00Z", "2026-10-26T01:30:00Z"},
		{"all hours, forward: elapsed time", "*/30 * * * *", "Europe/Berlin", "2026-03-29T00:00:00Z", "2026-03-29T00:30:00Z 2026-03-29T01:00:00Z 2026-03-29T01:30:00Z"},
		{"all hours, back: both hours", "*/30 * * * *", "Europe/Berlin", "2026-10-25T00:00:00Z", "2026-10-25T00:30:00Z 2026-10-25T01:00:00Z 2026-10-25T01:30:00Z 2026-10-25T02:00:00Z"},
		{"@hourly, back", "@hourly", "America/New_York", "2026-11-01T04:30:00Z", "2026-11-01T05:00:00Z 2026-11-01T06:00:00Z 2026-11-01T07:00:00Z"},
		{"midnight that is left out", "0 0 * * *", "America/Santiago", "2026-09-05T12:00:00Z", "2026-09-06T04:00:00Z 2026-09-07T03:00:00Z"},
		{"a change of half an hour", "*/20 * * * *", "Australia/Lord_Howe", "2026-04-04T14:30:00Z", "2026-04-04T14:40:00Z 2026-04-04T15:10:00Z 2026-04-04T15:30:00Z"},
		{"a day that is left out", "0 12 * * *", "Pacific/Apia", "2011-12-29T12:00:00Z", "2011-12-29T22:00:00Z 2011-12-30T10:00:00Z 2011-12-30T22:00:00Z"},
		{"UTC has none", "30 2 * * *", "", "2026-03-28T12:00:00Z", "2026-03-29T02:30:00Z 2026-03-30T02:30:00Z"},
		{"days of month or week", "0 0 13 * 5", "UTC", "2026-11-01T00:00:00Z", "2026-11-06T00:00:00Z 2026-11-13T00:00:00Z 2026-11-20T00:00:00Z"},
		{"leap day", "0 0 29 2 *", "UTC", "2026-01-01T00:00:00Z", "2028-02-29T00:00:00Z"},
		{"every", "@every 90s", "Europe/Berlin", "2026-10-25T00:59:30Z", "2026-10-25T01:01:00Z 2026-10-25T01:02:30Z"},
	} {
		t.Run(c.what, func(t *testing.T) {
			t.Parallel()
			s, now := mustParse(t, c.text, c.zone), at(t, c.after)
			var got []string
			for range strings.Fields(c.want) {
				now = s.Next(now)
				got = append(got, now.UTC().Format(time.RFC3339))
			}
			if strings.Join(got, " ") != c.want {
				t.Errorf("%q in %s after %s:\n got %s\nwant %s", c.text, c.zone, c.after, strings.Join(got, " "), c.want)
			}
		})
	}
}

// dumb looks at every minute of a zone's wall clock, by the rules in words.
func dumb(text string, zone *time.Location, after time.Time) time.Time {
	fields := strings.Fields(text)
	in := func(field string, v int) bool {
		if every, ok := strings.CutPrefix(field, "*/"); ok {
			n, _ := strconv.Atoi(every)
			return v%n == 0
		}
		n, err := strconv.Atoi(field)
		return field == "*" || err == nil && n == v
	}
	match := func(face time.Time) bool { return in(fields[0], face.Minute()) && in(fields[1], face.Hour()) }
	for t := after.Truncate(time.Minute).Add(time.Minute); ; t = t.Add(time.Minute) {
		here, before := t.In(zone), t.Add(-time.Minute).In(zone)
		_, now := here.Zone()
		_, was := before.Zone()
		face := time.Date(2000, 1, 1, here.Hour(), here.Minute(), 0, 0, time.UTC)
		switch {
		case fields[1] == "*":
			if match(face) {
				return t
			}
			continue
		case match(face) && !shownBefore(t, zone):
			return t
		case now > was: // clocks went forward: what they went over
			for left := range (now - was) / 60 {
				if match(face.Add(-time.Duration(left+1) * time.Minute)) {
					return t
				}
			}
		}
	}
}

// shownBefore tells that the wall clock showed the same within the three hours before.
func shownBefore(t time.Time, zone *time.Location) bool {
	const face = "2006-01-02 15:04"
	for back := time.Minute; back <= 3*time.Hour; back += time.Minute {
		if t.Add(-back).In(zone).Format(face) == t.In(zone).Format(face) {
			return true
		}
	}
	return false
}

func TestNextAgainstEveryMinute(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(1, 2))
	zones := []string{"UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "America/Santiago", "Asia/Kathmandu"}
	texts := []string{"30 2 * * *", "*/20 * * * *", "0 */2 * * *", "15 0 * * *", "*/25 1 * * *", "0 3 * * *", "*/7 */3 * * *"}
	changes := []string{"2026-03-29T00:00:00Z", "2026-10-25T00:00:00Z", "2026-03-08T06:00:00Z", "2026-11-01T05:00:00Z", "2026-04-04T14:00:00Z", "2026-10-03T15:00:00Z", "2026-09-06T03:00:00Z", "2026-04-05T02:00:00Z"}
	for range 300 {
		zone, text := zones[random.IntN(len(zones))], texts[random.IntN(len(texts))]
		after := at(t, changes[random.IntN(len(changes))]).Add(time.Duration(random.IntN(8*3600)-4*3600) * time.Second)
		s := mustParse(t, text, zone)
		for range 4 {
			got, want := s.Next(after), dumb(text, s.Zone(), after)
			if !got.Equal(want) {
				t.Fatalf("%q in %s after %s: %s, and minute by minute %s", text, zone, after.In(s.Zone()), got.In(s.Zone()), want.In(s.Zone()))
			}
			after = got
		}
	}
}

func TestLastIsTheNewestOfNext(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(3, 4))
	for range 200 {
		s := mustParse(t, []string{"*/20 * * * *", "0 3 * * *", "30 2 1 * *", "@every 17m", "0 0 29 2 *"}[random.IntN(5)], "Europe/Berlin")
		after := at(t, "2025-03-29T11:00:00Z").Add(time.Duration(random.IntN(400*86400)) * time.Second)
		upTo := after.Add(time.Duration(random.IntN([]int{3600, 90 * 86400}[random.IntN(2)])) * time.Second)
		var want, first time.Time
		for due := s.Next(after); !due.After(upTo) && !due.IsZero(); due = s.Next(due) {
			if want = due; first.IsZero() {
				first = due
			}
		}
		got, others := s.Last(after, upTo)
		if !got.Equal(want) || others != want.After(first) {
			t.Fatalf("after %s up to %s: %s (others: %t), and one by one %s from %s", after, upTo, got, others, want, first)
		}
	}
}

// A century that was missed is no more work than an hour: one minute after the other, a thousand times, would take days.
func TestLastOfACentury(t *testing.T) {
	t.Parallel()
	s, after := mustParse(t, "* * * * *", "Europe/Berlin"), at(t, "1930-01-01T00:00:00Z")
	for range 1000 {
		if due, others := s.Last(after, at(t, "2026-11-21T12:00:30Z")); !due.Equal(at(t, "2026-11-21T12:00:00Z")) || !others {
			t.Fatalf("%s, others: %t", due, others)
		}
	}
}

func TestWhatIsNoSchedule(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ text, zone, says string }{
		{"", "", "no schedule"},
		{"* * * *", "", "no schedule"},
		{"* * * * * *", "", "no schedule"},
		{"61 * * * *", "", "no schedule"},
		{"0 0 30 2 *", "", "no day is like that"},
		{"TZ=Europe/Berlin 0 0 * * *", "", "zone stands in the schedule"},
		{"CRON_TZ=", "", "zone stands in the schedule"},
		{"TZ=", "", "zone stands in the schedule"},
		{"@every 1", "", "no schedule"},
		{"@every -1s", "", "no schedule"},
		{"@reboot", "", "no schedule"},
		{"0 0 * * *", "Europe/Berln", "no time zone"},
		{"0 0 * * *", "Local", "no time zone"},
	} {
		_, err := schedule.Parse(c.text, c.zone)
		if semper.CodeOf(err) != semper.Invalid || !strings.Contains(err.Error(), c.says) || semper.HintOf(err) == "" {
			t.Errorf("%q in %q: %v (hint %q)", c.text, c.zone, err, semper.HintOf(err))
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, text := range []string{"*/5 * * * *", "@every 1h", "0 0 1-7/2 JAN-mar MON", "TZ=", "@", "99999999999 * * * *", "*/0 * * * *"} {
		f.Add(text, "Europe/Berlin")
	}
	f.Fuzz(func(t *testing.T, text, zone string) {
		s, err := schedule.Parse(text, zone)
		if err != nil {
			return
		}
		now := time.Date(2026, 10, 25, 0, 30, 0, 1, time.UTC)
		for range 5 {
			next := s.Next(now)
			if next.IsZero() {
				return
			}
			if !next.After(now) {
				t.Fatalf("%q in %q: %s is not after %s", text, zone, next, now)
			}
			now = next
		}
	})
}
