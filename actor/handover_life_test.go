package actor

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"semper/supervise"
)

// handedOver is a snapshot of one till with the payments given.
func handedOver(t *testing.T, label string, payments ...int) Snapshot {
	t.Helper()
	s := shop(quiet, t, map[string]Server[payment]{label: &till{paid: payments}})
	defer stop(t, s)
	snapshot, err := HandOver(quiet, s)
	if err != nil {
		t.Fatal(err)
	}
	return snapshot
}

func TestHandOverTakenBack(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := shop(quiet, t, map[string]Server[payment]{"a": &till{}, "b": &carryingTill{}, "c": &till{}})
		defer stop(t, s)
		snapshot, err := HandOver(quiet, s)
		if err != nil {
			t.Fatal(err)
		}
		for _, id := range []string{"a", "b"} {
			for i := range 5 {
				_ = at(t, s, id).Cast(i)
			}
		}
		if w := snapshot.Waiting(); len(w) != 2 || w["a"] != 5 || w["b"] != 5 {
			t.Errorf("%v wait; what came after the export is not in the snapshot", w)
		}
		at(t, s, "c").PID().Kill()
		synctest.Wait()
		if err := snapshot.Resume(quiet); err != nil {
			t.Errorf("resume, when one has ended: %v", err)
		}
		if w := snapshot.Waiting(); len(w) != 0 {
			t.Errorf("%v wait", w)
		}
		for _, id := range []string{"a", "b", "c"} {
			want := []int{0, 1, 2, 3, 4}
			if id == "c" {
				want = nil
			}
			if got, err := Call(quiet, at(t, s, id), paid); err != nil || !slices.Equal(got, want) {
				t.Errorf("%s: %v, %v", id, got, err)
			}
		}
		if err := snapshot.Resume(quiet); err != nil {
			t.Errorf("the second time: %v", err)
		}
	})
}

func TestHandOverIsThereAgainAfterAFailedStart(t *testing.T) {
	bubble(t, func(t *testing.T) {
		snapshot := handedOver(t, "a", 7)
		ctx := WithHandOver(quiet, snapshot)
		boom := errors.New("boom")
		if _, err := Start[payment](ctx, &till{broken: boom}, Options{Label: "a"}); !errors.Is(err, boom) || !strings.Contains(err.Error(), "a from version 3") {
			t.Errorf("%v", err)
		}
		var broken *PanicError
		if _, err := Start[payment](ctx, &till{panicky: true}, Options{Label: "a"}); !errors.As(err, &broken) {
			t.Errorf("%v", err)
		}
		if left := snapshot.Left(); !slices.Equal(left, []string{"a"}) {
			t.Errorf("left is %v", left)
		}
		a, err := Start[payment](ctx, &till{}, Options{Label: "a"})
		if err != nil {
			t.Fatal(err)
		}
		if got, _ := Call(quiet, a, paid); !slices.Equal(got, []int{7}) || len(snapshot.Left()) != 0 {
			t.Errorf("%v, left %v", got, snapshot.Left())
		}
		again, _ := Start[payment](WithHandOver(quiet, snapshot), &till{}, Options{Label: "a"})
		if got, _ := Call(quiet, again, paid); len(got) != 0 {
			t.Errorf("a second one took %v", got)
		}
		a.PID().Kill()
		again.PID().Kill()
	})
}

func TestHandOverOfNothing(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := shop(quiet, t, map[string]Server[payment]{"a": &till{}, "none": &till{broken: fmt.Errorf("nothing: %w", ErrIgnore)}})
		defer stop(t, s)
		snapshot, err := HandOver(quiet, s)
		if err != nil || !slices.Equal(snapshot.Left(), []string{"a"}) {
			t.Errorf("%v, %v", snapshot.Left(), err)
		}
		if _, err := Call(quiet, at(t, s, "none"), paid); err != nil {
			t.Errorf("one without anything to hand over does not go on: %v", err)
		}
		if i := at(t, s, "a").PID().Info(); i.Status != StatusSuspended {
			t.Errorf("a is %s", i.Status)
		}
		a, err := Start[payment](WithHandOver(quiet, snapshot), &till{broken: ErrIgnore}, Options{Label: "a"})
		if err != nil || !slices.Equal(snapshot.Left(), []string{"a"}) {
			t.Errorf("one that does not want it: %v, left %v", err, snapshot.Left())
		}
		a.PID().Kill()
	})
}

func TestHandOverWaitsForTheStartThatHasIt(t *testing.T) {
	bubble(t, func(t *testing.T) {
		snapshot := handedOver(t, "a", 7)
		gate, entered := make(chan struct{}), make(chan struct{})
		ctx, cancel := context.WithCancel(WithHandOver(quiet, snapshot))
		failed := make(chan error, 1)
		go func() {
			_, err := Start[payment](ctx, &till{gate: gate, entered: entered}, Options{Label: "a"})
			failed <- err
		}()
		<-entered
		cancel() // the start is over, its CodeChange is not
		if err := <-failed; !errors.Is(err, context.Canceled) {
			t.Errorf("%v", err)
		}
		if a, err := Start[payment](WithHandOver(quiet, snapshot), &till{}, Options{Label: "a"}); err == nil {
			t.Error("it started without its state, which another start may still give back")
			a.PID().Kill()
		}
		close(gate)
		synctest.Wait()
		a, err := Start[payment](WithHandOver(quiet, snapshot), &till{}, Options{Label: "a"})
		if err != nil {
			t.Fatal(err)
		}
		if got, _ := Call(quiet, a, paid); !slices.Equal(got, []int{7}) {
			t.Errorf("%v", got)
		}
		a.PID().Kill()
	})
}

func TestHandOverInvalid(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := shop(quiet, t, map[string]Server[payment]{"a": &till{}, "plain": plain{}})
		defer stop(t, s)
		if _, err := HandOver(nil, s); !errors.Is(err, ErrInvalid) { //nolint:staticcheck // nil is what is tested
			t.Errorf("no context: %v", err)
		}
		if _, err := HandOver(quiet, nil); !errors.Is(err, ErrInvalid) {
			t.Errorf("no supervisor: %v", err)
		}
		a := at(t, s, "a")
		_ = a.Cast(func() {
			if _, err := HandOver(a.s, s); !errors.Is(err, ErrCallingSelf) {
				t.Errorf("by one that exports: %v", err)
			}
		})
		synctest.Wait()
		var none Snapshot
		if none.Left() != nil || none.Waiting() != nil || none.Resume(quiet) != nil || WithHandOver(quiet, none) != quiet {
			t.Error("the zero Snapshot is not empty")
		}
		text, err := json.Marshal(none)
		if err != nil || json.Unmarshal(text, &none) != nil || len(none.Left()) != 0 {
			t.Errorf("%s, %v", text, err)
		}
	})
}

// A process that was restarted while others were being suspended is handed over, once.
func TestHandOverSeesWhatIsRestartedMeanwhile(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var s *supervise.Supervisor
		first := true
		s = shop(quiet, t, map[string]Server[payment]{"a": &till{}, "z": &till{}})
		defer stop(t, s)
		a := at(t, s, "a")
		_ = a.Cast(func() { // is in a callback when z is suspended; z ends before a comes out
			if first {
				first = false
				z := at(t, s, "z")
				for z.PID().Info().Status != StatusSuspended {
					time.Sleep(time.Millisecond) // virtual
				}
				z.PID().Kill()
				time.Sleep(time.Second) // virtual; until its supervisor has seen to it
			}
		})
		synctest.Wait()
		snapshot, err := HandOver(quiet, s)
		if err != nil || !slices.Equal(snapshot.Left(), []string{"a", "z"}) {
			t.Errorf("%v, %v", snapshot.Left(), err)
		}
		if i := at(t, s, "z").PID().Info(); i.Status != StatusSuspended {
			t.Errorf("the successor of z is %s", i.Status)
		}
	})
}

// However a hand-over meets a process at work, each cast is either in its state or carried, once and in order.
func TestHandOverOfOneAtWork(t *testing.T) {
	t.Parallel()
	for range 200 {
		s := shop(quiet, t, map[string]Server[payment]{"a": &carryingTill{}})
		a := at(t, s, "a")
		for i := range 3 * segment / 2 {
			_ = a.Cast(i)
		}
		snapshot, err := HandOver(quiet, s)
		stop(t, s)
		if err != nil {
			t.Fatal(err)
		}
		next := shop(WithHandOver(quiet, snapshot), t, map[string]Server[payment]{"a": &carryingTill{}})
		got, _ := Call(quiet, at(t, next, "a"), paid)
		stop(t, next)
		if len(got) != 3*segment/2 || !slices.IsSorted(got) {
			t.Fatalf("%d payments: %v", len(got), got)
		}
	}
}

// A process that has just been suspended has messages in hand that it has not put back.
func TestHandOverOfMessagesInHand(t *testing.T) {
	bubble(t, func(t *testing.T) {
		a, err := Start[payment](quiet, &carryingTill{}, Options{})
		if err != nil {
			t.Fatal(err)
		}
		gate := make(chan struct{})
		_ = a.Cast(func() { <-gate })
		synctest.Wait()
		var got [][]byte
		_ = a.Cast(func() { got, err = a.s.carry() })
		_ = a.Cast(5)
		_ = a.Cast(6)
		close(gate)
		synctest.Wait()
		if err != nil || len(got) != 2 || string(got[0]) != "5" || string(got[1]) != "6" {
			t.Errorf("%q, %v", got, err)
		}
		a.PID().Kill()
	})
}

// What is exported, marshalled, read and taken over is what was there.
func TestPropertyHandOverIsTheIdentity(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		ids := rapid.SliceOfNDistinct(rapid.StringMatching(`[a-z/"\\é]{1,6}`), 0, 8, rapid.ID[string]).Draw(t, "ids")
		snapshot := Snapshot{newSnapshot(nil, nil)}
		var parts []part
		for _, id := range ids {
			parts = append(parts, part{
				Key: id, Version: rapid.Int().Draw(t, "version"), State: rapid.SliceOf(rapid.Byte()).Draw(t, "state"),
				Messages: rapid.SliceOf(rapid.SliceOf(rapid.Byte())).Draw(t, "messages"),
			})
		}
		sortParts(parts)
		snapshot.s = newSnapshot(parts, nil)
		text, err := json.Marshal(snapshot)
		if err != nil {
			t.Fatal(err)
		}
		var back Snapshot
		if err := json.Unmarshal(text, &back); err != nil {
			t.Fatalf("%v: %s", err, text)
		}
		ctx := WithHandOver(quiet, back)
		for _, want := range parts {
			got := &recorder{}
			r, err := Start[string](ctx, got, Options{Label: want.Key})
			if err != nil {
				t.Fatal(err)
			}
			_ = r.PID().State(quiet, func(any) {}) // after it, what was carried may still wait
			_ = r.PID().Shutdown(quiet)
			if got.from != want.Version || string(got.state) != string(want.State) || got.decoded != len(want.Messages) {
				t.Fatalf("%q: took over %+v of %+v", want.Key, got, want)
			}
		}
		if left := back.Left(); len(left) != 0 {
			t.Fatalf("left is %q", left)
		}
		damaged := slices.Clone(text)
		i := rapid.IntRange(0, len(text)-1).Draw(t, "at")
		damaged[i] ^= byte(1 << rapid.IntRange(0, 7).Draw(t, "bit"))
		var other Snapshot
		if err := json.Unmarshal(damaged, &other); err == nil && !same(other.parts(), parts) {
			t.Fatalf("damage was not seen: %s", damaged)
		}
	})
}

func same(a, b []part) bool { return checksum(a) == checksum(b) }

// recorder notes what it takes over.
type recorder struct {
	from    int
	state   []byte
	decoded int
}

func (r *recorder) Handle(*Self[string], string) error { return nil }
func (r *recorder) CodeChange(from int, state []byte) error {
	r.from, r.state = from, state
	return nil
}
func (r *recorder) EncodeMessage(m string) ([]byte, error) { return []byte(m), nil }
func (r *recorder) DecodeMessage(text []byte) (string, error) {
	r.decoded++
	return string(text), nil
}

func TestSnapshotRefuses(t *testing.T) {
	t.Parallel()
	for name, text := range map[string]string{
		"another version": `{"v":2,"processes":[],"checksum":""}`,
		"no checksum":     `{"v":1,"processes":[]}`,
		"not an object":   `[]`,
		"two of one key": fmt.Sprintf(`{"v":1,"processes":[{"key":"a"},{"key":"a"}],"checksum":%q}`,
			checksum([]part{{Key: "a"}, {Key: "a"}})),
	} {
		var s Snapshot
		if err := json.Unmarshal([]byte(text), &s); !errors.Is(err, ErrInvalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
