package record

import (
	"testing"
	"time"

	"semper/queue"
	"semper/queue/backlog"
)

// TestFacts reads back what was written, and takes nothing from a page that is cut off anywhere but between two jobs.
func TestFacts(t *testing.T) {
	t.Parallel()
	now := time.Unix(1_800_000_000, 123).UTC()
	entries := []backlog.Entry{
		{ID: queue.NewID(now), Revision: 1},
		{ID: queue.NewID(now), Revision: 1 << 60, Place: 1 << 40, Priority: -9, Key: "k", Size: 1 << 30, Accepted: now, Expires: now.AddDate(3000, 0, 0), At: now.AddDate(-500, 0, 0)},
	}
	value := []byte{PageSchema}
	ends := map[int]int{len(value): 0}
	for i := range entries {
		value = AppendFact(value, &entries[i])
		ends[len(value)] = i + 1
	}
	for n := range len(value) + 1 {
		var got []backlog.Entry
		ok := Facts(value[:n], func(id queue.ID, version int64, rest []byte) {
			e, whole := Fact{Version: version, Rest: rest}.Entry(id)
			if !whole {
				t.Errorf("a part of a page of %d bytes is not whole", n)
			}
			got = append(got, e)
		})
		if count, whole := ends[n]; ok != whole || ok && len(got) != count {
			t.Errorf("%d bytes: %v with %d jobs", n, ok, len(got))
		}
		for i, e := range got {
			w := entries[i]
			if e.ID != w.ID || e.Revision != w.Revision || e.Place != w.Place || e.Priority != w.Priority || e.Key != w.Key || e.Size != w.Size ||
				!e.Accepted.Equal(w.Accepted) || !e.Expires.Equal(w.Expires) || !e.At.Equal(w.At) || e.Expires.IsZero() != w.Expires.IsZero() {
				t.Errorf("%+v, want %+v", e, w)
			}
		}
	}
}

// FuzzFacts has nothing of a page that semper did not write make it panic.
func FuzzFacts(f *testing.F) {
	e := backlog.Entry{ID: queue.NewID(time.Unix(1, 0)), Revision: 7, Key: "k", Accepted: time.Unix(1, 0)}
	f.Add(AppendFact([]byte{PageSchema}, &e))
	f.Add([]byte{PageSchema, 0xff, 0xff})
	f.Fuzz(func(t *testing.T, value []byte) {
		Facts(value, func(id queue.ID, version int64, rest []byte) {
			if e, ok := (Fact{Version: version, Rest: rest}).Entry(id); ok && e.ID != id {
				t.Error("another job")
			}
		})
	})
}
