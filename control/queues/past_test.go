package queues

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"semper"
	"semper/queue"
	"semper/queue/meter"
)

// TestTheNewest are found among many, by where ids lie in time.
func TestTheNewest(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		var ids []queue.ID
		for range 5 { // far apart, so that the first looks find too few
			ids = append(ids, w.add(t, 3)...)
			time.Sleep(time.Hour)
		}
		list, err := w.desk.Newest(t.Context(), mail, queue.Queued, 4)
		if err != nil || len(list) != 4 {
			t.Fatalf("%d jobs, %v", len(list), err)
		}
		if list[0].Accepted.Before(list[3].Accepted) || !slices.Contains(ids[12:], list[0].ID) || !slices.Contains(ids[9:12], list[3].ID) {
			t.Errorf("%v are not the newest of %v", list, ids)
		}
		if list, err = w.desk.Newest(t.Context(), mail, queue.Queued, 100); err != nil || len(list) != 15 {
			t.Errorf("of fewer than are wanted there are %d, %v", len(list), err)
		}
		if list, err = w.desk.Newest(t.Context(), mail, queue.Dead, 10); err != nil || len(list) != 0 {
			t.Errorf("of none there are %d, %v", len(list), err)
		}
		if _, err = w.desk.Newest(t.Context(), mail, "buried", 10); semper.CodeOf(err) != semper.Invalid {
			t.Error("no state:", err)
		}
	})
}

// fixed counts nothing, and says it.
type fixed struct {
	all []meter.Reading
	err error
}

func (f fixed) Readings(context.Context, queue.Service) ([]meter.Reading, error) { return f.all, f.err }

// TestActivity stands with its queue, and what nobody counts takes nothing away.
func TestActivity(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		r := meter.Reading{
			Service: mail, Total: meter.Counts{Accepted: 7}, Lately: meter.Counts{Accepted: 6, Done: 3}, Over: time.Minute,
			Recent: meter.Histogram{Counts: make([]uint64, len(meter.Limits())+1)}, Past: []meter.Point{{Accepted: 6}},
		}
		r.Recent.Counts[2] = 10
		w.desk.Counters = fixed{all: []meter.Reading{r}}
		q, err := w.desk.Queue(t.Context(), mail)
		if err != nil || q.Activity == nil || q.Activity.Total.Accepted != 7 || q.Activity.Most.D() != 25*time.Millisecond {
			t.Fatalf("%+v, %v", q.Activity, err)
		}
		if rate := q.Activity.PerSecond(func(c meter.Counts) uint64 { return c.Accepted }); rate != .1 {
			t.Errorf("%v requests a second", rate)
		}
		list, err := w.desk.Queues(t.Context(), "", "")
		if err != nil || len(list) != 1 || list[0].Activity == nil {
			t.Errorf("%+v, %v", list, err)
		}
		past, err := w.desk.QueuePast(t.Context(), mail)
		if err != nil || len(past) != 1 || past[0].Accepted != 6 {
			t.Errorf("%+v, %v", past, err)
		}
		w.desk.Counters = fixed{err: errors.New("away")}
		if q, err = w.desk.Queue(t.Context(), mail); err != nil || q.Activity != nil {
			t.Errorf("while nobody counts: %+v, %v", q.Activity, err)
		}
		if _, err = w.desk.QueuePast(t.Context(), mail); err == nil {
			t.Error("a past that nobody has")
		}
	})
}
