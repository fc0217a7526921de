package keeper

import (
	"log/slog"
	"testing"

	"semper"
	"semper/keeper/journal"
)

// TestWordBeforeTheStartIsTold has an instance ask for a job before what started it has got round to saying so: a program is that quick.
// Whoever passes its word on does so once.
func TestWordBeforeTheStartIsTold(t *testing.T) {
	t.Parallel()
	log := slog.New(slog.DiscardHandler)
	j := journal.Open(t.TempDir(), func(name string) string { return name }, log)
	defer j.Close()
	m := &member{rec: journal.Record{Name: "bar/ask.r1.1", Incarnation: 3, Instance: &journal.Instance{Spec: semper.InstanceSpec{ID: "bar/ask.r1.1"}}}}
	k := &keeper{log: log, journal: j, members: map[string]*member{m.rec.Name: m}, news: make(chan struct{})}
	for n, want := range []bool{2: false, 3: true} {
		if k.foundReady("bar/ask.r1.1", int64(n), true); m.rec.Notified != want {
			t.Errorf("after the word of incarnation %d, of 3, it is ready: %v", n, m.rec.Notified)
		}
	}
}
