package window

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"semper"
)

func parsed(t *testing.T, w semper.Window) Window {
	t.Helper()
	p, err := Parse(w)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func at(t *testing.T, s string) time.Time {
	t.Helper()
	v, err := time.Parse(time.RFC3339, s)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func TestOpen(t *testing.T) {
	t.Parallel()
	berlin := semper.Window{Deny: "Fri 16:00-Mon 08:00", Zone: "Europe/Berlin"}
	office := semper.Window{Allow: "Mon-Thu 09:00-16:00", Deny: "2026-12-21-2027-01-06", Zone: "Europe/Berlin"}
	night := semper.Window{Deny: "daily 22:00-06:00"}
	for _, c := range []struct {
		w    semper.Window
		at   string
		open bool
	}{
		{berlin, "2026-11-20T14:59:59Z", true}, // a Friday; in winter Berlin is an hour ahead
		{berlin, "2026-11-20T15:00:00Z", false},
		{berlin, "2026-11-22T12:00:00Z", false},
		{berlin, "2026-11-23T06:59:59Z", false},
		{berlin, "2026-11-23T07:00:00Z", true},
		{berlin, "2026-07-17T13:59:00Z", true}, // and in summer two
		{berlin, "2026-07-17T14:00:00Z", false},
		{office, "2026-11-25T08:00:00Z", true},
		{office, "2026-11-25T07:59:00Z", false},
		{office, "2026-11-27T10:00:00Z", false}, // a Friday
		{office, "2026-12-22T10:00:00Z", false}, // a Tuesday in the freeze
		{office, "2027-01-06T10:00:00Z", false}, // its last day, a Wednesday
		{office, "2027-01-07T10:00:00Z", true},
		{night, "2026-11-22T23:00:00Z", false},
		{night, "2026-11-23T05:59:00Z", false}, // over the end of the week
		{night, "2026-11-23T06:00:00Z", true},
		{semper.Window{Deny: "Sat-Mon 00:00-24:00"}, "2026-11-23T23:59:00Z", false},
		{semper.Window{Deny: "Sat-Mon 00:00-24:00"}, "2026-11-24T00:00:00Z", true},
		{semper.Window{Allow: "Tue 09:00-10:00, thu 09:00-10:00"}, "2026-11-26T09:30:00Z", true},
		{semper.Window{Deny: "2026-11-21"}, "2026-11-21T23:59:00Z", false},
	} {
		if got := parsed(t, c.w).Open(at(t, c.at)); got != c.open {
			t.Errorf("%+v at %s: open %t, want %t", c.w, c.at, got, c.open)
		}
	}
}

// In the night of 2026-10-25 clocks in Berlin show 02:30 twice, and in that of 2026-03-29 never.
func TestTheHourThatComesTwice(t *testing.T) {
	t.Parallel()
	w := parsed(t, semper.Window{Deny: "daily 02:00-03:00", Zone: "Europe/Berlin"})
	for instant, open := range map[string]bool{
		"2026-10-24T23:59:00Z": true,
		"2026-10-25T00:30:00Z": false, // 02:30 in summer time
		"2026-10-25T01:30:00Z": false, // 02:30 in winter time
		"2026-10-25T02:00:00Z": true,
		"2026-03-29T00:59:00Z": true, // 01:59
		"2026-03-29T01:00:00Z": true, // 03:00
	} {
		if got := w.Open(at(t, instant)); got != open {
			t.Errorf("%s: open %t", instant, got)
		}
	}
	if next, ok := w.Next(at(t, "2026-10-25T00:30:00Z")); !ok || !next.Equal(at(t, "2026-10-25T02:00:00Z")) {
		t.Errorf("opens at %s", next)
	}
}

// Next is what asking Open minute by minute finds.
func TestNextByBruteForce(t *testing.T) {
	t.Parallel()
	windows := []semper.Window{
		{Deny: "Fri 16:00-Mon 08:00"}, {Allow: "Mon-Thu 09:00-16:00"}, {Deny: "daily 22:00-06:00"},
		{Deny: "daily 02:00-03:00"}, {Allow: "Sun 01:30-02:30"}, {Deny: "Sun 23:30-Sun 23:00"},
		{Allow: "Tue-Sat 10:17-11:03, Sun 02:45-05:00", Deny: "2026-10-24-2026-10-26"},
		{Allow: "daily 00:00-24:00", Deny: "2026-03-27-2026-03-30, Wed 12:00-13:00"},
	}
	zones := []string{"UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu"}
	random := rand.New(rand.NewPCG(1, 2)) //nolint:gosec // a seeded test
	starts := []time.Time{at(t, "2026-10-23T00:00:00Z"), at(t, "2026-03-26T00:00:00Z"), at(t, "2026-11-20T00:00:00Z"), at(t, "2026-04-03T00:00:00Z")}
	for _, w := range windows {
		for _, zone := range zones {
			w.Zone = zone
			p := parsed(t, w)
			for range 6 {
				from := starts[random.IntN(len(starts))].Add(time.Duration(random.IntN(5*day)) * time.Minute).Add(time.Duration(random.IntN(60)) * time.Second)
				want := time.Time{}
				for m := from.Truncate(time.Minute).Add(time.Minute); m.Before(from.AddDate(0, 0, 9)); m = m.Add(time.Minute) {
					if p.Open(m) != p.Open(from) {
						want = m
						break
					}
				}
				got, ok := p.Next(from)
				if ok == want.IsZero() || ok && !got.Equal(want) {
					t.Errorf("%+v from %s (open %t): next is %s, want %s", w, from, p.Open(from), got, want)
				}
			}
		}
	}
}

func TestParseRefuses(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		w   semper.Window
		key string
	}{
		{semper.Window{}, "deny"},
		{semper.Window{Deny: "Fri 16:00-Mon 08:00", Zone: "Europe/Berln"}, "zone"},
		{semper.Window{Deny: "Fri 16:00-Mon 08:00", Zone: "Local"}, "zone"},
		{semper.Window{Deny: "Fri 16:00"}, "deny"},
		{semper.Window{Deny: "Friday 16:00-18:00"}, "deny"},
		{semper.Window{Deny: "Fri 25:00-Mon 08:00"}, "deny"},
		{semper.Window{Deny: "Fri 16:60-Mon 08:00"}, "deny"},
		{semper.Window{Deny: "Fri 16:00-Fri 16:00"}, "deny"},
		{semper.Window{Allow: "Mon 09:00-09:00"}, "allow"},
		{semper.Window{Allow: "Mon-Thu 09:00-16:00,"}, "allow"},
		{semper.Window{Deny: "2026-02-29"}, "deny"},
		{semper.Window{Deny: "2026-12-31-2026-12-01"}, "deny"},
		{semper.Window{Deny: "2026-12-31-2027"}, "deny"},
	} {
		_, err := Parse(c.w)
		var e *Error
		if !errors.As(err, &e) || e.Key != c.key || e.Hint == "" {
			t.Errorf("%+v: %v", c.w, err)
		}
	}
}

func TestAlways(t *testing.T) {
	t.Parallel()
	if _, ok := (Window{}).Next(time.Unix(0, 0)); ok || !(Window{}).Open(time.Unix(0, 0)) {
		t.Error("no window denies something")
	}
	if _, ok := parsed(t, semper.Window{Deny: "2020-01-01-2020-01-02"}).Next(at(t, "2026-01-01T00:00:00Z")); ok {
		t.Error("a freeze of the past comes again")
	}
}

// FuzzParse: no text makes the reader panic, and what it reads answers at any time.
func FuzzParse(f *testing.F) {
	for _, s := range []string{"Fri 16:00-Mon 08:00", "Mon-Thu 09:00-16:00", "daily 22:00-06:00", "2026-12-20-2027-01-06", "-,-", "Mon -"} {
		f.Add(s, int64(1_790_000_000))
	}
	f.Fuzz(func(t *testing.T, s string, seconds int64) {
		w, err := Parse(semper.Window{Deny: s, Zone: "Europe/Berlin"})
		if err != nil {
			return
		}
		now := time.Unix(seconds%4_000_000_000, 0)
		if next, ok := w.Next(now); ok && (!next.After(now) || w.Open(next) == w.Open(now)) {
			t.Fatal(fmt.Sprint(now, next))
		}
	})
}
