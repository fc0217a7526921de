package actor

import (
	"context"
	"errors"
	"regexp"
	"testing"
	"testing/synctest"
	"time"

	"semper/supervise"
)

// Bad input gets an error that can be told by errors.Is and says what to do; nothing panics.
func TestBadInput(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var none context.Context
		over, cancel := context.WithCancelCause(quiet)
		cancel(errBoom)
		a := must(t, &script{}, Options{})
		var noName *Name[any]
		other := NewName[token]("other")
		dead := must(t, &script{}, Options{})
		dead.PID().Kill()
		wait := context.Background()
		look := func(any) {}
		start := func(ctx context.Context, s Server[any], o Options) error { _, err := Start(ctx, s, o); return err }
		calls := func(ctx context.Context, to Target[any], f func(From[int]) any) error {
			_, err := Call(ctx, to, f)
			return err
		}
		for what, c := range map[string]struct{ got, want error }{
			"start without context":      {start(none, &script{}, Options{}), ErrInvalid},
			"start without server":       {start(wait, nil, Options{}), ErrInvalid},
			"start with ended context":   {start(over, &script{}, Options{}), errBoom},
			"start with negative limit":  {start(wait, &script{}, Options{Mailbox: Mailbox{Limit: -1}}), ErrInvalid},
			"start with bad overflow":    {start(wait, &script{}, Options{Mailbox: Mailbox{Overflow: 9}}), ErrInvalid},
			"start with low overflow":    {start(wait, &script{}, Options{Mailbox: Mailbox{Overflow: -1}}), ErrInvalid},
			"start linked to no process": {start(wait, &script{}, Options{Link: true}), ErrInvalid},
			"start with a nil name":      {start(wait, &script{}, Options{Name: noName}), ErrInvalid},
			"start with another's name":  {start(wait, &script{}, Options{Name: other}), ErrInvalid},
			"call without context":       {calls(none, a, ask), ErrInvalid},
			"call of no target":          {calls(wait, nil, ask), ErrInvalid},
			"call without message":       {calls(wait, a, nil), ErrInvalid},
			"call with ended context":    {calls(over, a, ask), errBoom},
			"call of nobody":             {calls(wait, Ref[any]{}, ask), ErrNoProc},
			"call of a nil name":         {calls(wait, noName, ask), ErrInvalid},
			"call of a free name":        {calls(wait, NewName[any]("free"), ask), ErrNoProc},
			"call of the dead":           {calls(wait, dead, ask), ErrNoProc},
			"cast to nobody":             {Ref[any]{}.Cast(1), ErrNoProc},
			"cast to the dead":           {dead.Cast(1), ErrNoProc},
			"cast to a nil name":         {noName.Cast(1), ErrInvalid},
			"cast to a free name":        {NewName[any]("free").Cast(1), ErrNoProc},
			"cast without context":       {a.CastContext(none, 1), ErrInvalid},
			"cast in context to nobody":  {Ref[any]{}.CastContext(wait, 1), ErrNoProc},
			"shutdown without context":   {a.PID().Shutdown(none), ErrInvalid},
			"suspend without context":    {a.PID().Suspend(none), ErrInvalid},
			"suspend with ended context": {a.PID().Suspend(over), errBoom},
			"suspend of nobody":          {PID{}.Suspend(wait), ErrNoProc},
			"suspend of the dead":        {dead.PID().Suspend(wait), ErrNoProc},
			"resume of the dead":         {dead.PID().Resume(wait), ErrNoProc},
			"state without a look":       {a.PID().State(wait, nil), ErrInvalid},
			"state of the dead":          {dead.PID().State(wait, look), ErrNoProc},
			"replace without a change":   {a.PID().ReplaceState(wait, nil), ErrInvalid},
			"inform of nothing":          {a.PID().Inform(nil), ErrInvalid},
			"inform of the dead":         {dead.PID().Inform(1), ErrNoProc},
			"register nothing":           {a.PID().Register(nil), ErrInvalid},
			"register nobody":            {PID{}.Register(NewName[any]("x")), ErrNoProc},
			"register the dead":          {dead.PID().Register(NewName[any]("x")), ErrNoProc},
			"name nobody":                {NewName[any]("x").Register(PID{}), ErrNoProc},
		} {
			if !errors.Is(c.got, c.want) {
				t.Errorf("%s: %v, want %v", what, c.got, c.want)
			}
			if c.want == ErrInvalid && !advice.MatchString(c.got.Error()) {
				t.Errorf("%s: %q does not say what to do", what, c.got)
			}
		}
		if i := a.PID().Info(); i.Status != StatusIdle || len(i.Links)+i.WatchedBy+i.Monitors != 0 {
			t.Errorf("bad input had an effect: %+v", i)
		}
		a.PID().Kill()
	})
}

var advice = regexp.MustCompile(`\b(wants?|make it|is for)\b`)

// The zero values are nobody, and harmless.
func TestZeroValues(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var id PID
		id.Kill()
		id.Exit(Reason{Kind: Crash})
		id.Unregister(NewName[any]("x"))
		<-id.Done()
		<-id.Gone()
		if id.Alive() || !errors.Is(id.Reason().Err, ErrNoProc) || id.String() != "<nobody>" || id.Info().Status != StatusEnded {
			t.Errorf("%v, %+v", id, id.Info())
		}
		var ref Ref[any]
		if ref.PID() != id || ref.String() != "<nobody>" {
			t.Errorf("%v", ref)
		}
		if r, err := ref.Resolve(); r != ref || err != nil {
			t.Errorf("%v, %v", r, err)
		}
		var from From[int]
		if from.Reply(1) || from.Fail(errBoom) || from.Fail(nil) || from.Waiting() {
			t.Error("the zero From is somebody")
		}
		var name *Name[any]
		name.Unregister(id)
		if name.String() != "(no name)" {
			t.Error(name.String())
		}
		a := must(t, &script{}, Options{})
		in(t, a, func(self *Self[any]) {
			if self.Demonitor(MonitorRef{}) {
				t.Error("no monitor was taken back")
			}
			self.Unlink(PID{})
			self.After(-time.Second, 1)
			self.Timeout(-time.Second)
			if _, ok := self.Deadline(); ok || self.Err() != nil || self.Value(1) != nil {
				t.Error("a Self is not the context it should be")
			}
		})
		synctest.Wait()
		a.PID().Kill()
		// A Self made by hand, as a test of a Server may: it is a context that does not end.
		var hand Self[any]
		ctx, cancel := context.WithTimeout(&hand, time.Second)
		defer cancel()
		<-ctx.Done()
		if hand.Err() != nil || hand.Ref().PID().Alive() == false {
			t.Error("a Self made by hand has ended")
		}
	})
}

func TestErrorTexts(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		err  error
		want string
	}{
		{&ExitError{Reason: Reason{Kind: Crash, Err: errBoom}}, "process <nobody> ended before it answered: crash: boom"},
		{&AlreadyStartedError{Name: "it"}, "the name it belongs to <nobody>, which lives: use it, or end it first"},
		{Stop(Reason{Kind: Shutdown}), "stop: shutdown"},
		{Stop(Reason{}), "stop: normal"},
		{&PanicError{Value: 1}, "panic: 1"},
	} {
		if c.err.Error() != c.want {
			t.Errorf("%q, want %q", c.err, c.want)
		}
	}
	if Overflow(7).String() != "overflow(7)" || DropOldest.String() != "drop-oldest" {
		t.Error("overflows have wrong texts")
	}
}

// Whatever the options are: the start works, or says why it does not; a process that was started works and can be
// stopped.
func FuzzOptions(f *testing.F) {
	f.Add("label", 0, 0, false, false, false, uint8(0))
	f.Add("", -1, 9, true, true, true, uint8(3))
	f.Add("bounded", 2, 2, false, true, true, uint8(1))
	f.Fuzz(func(t *testing.T, label string, limit, overflow int, link, trap, named bool, end uint8) {
		o := Options{Label: label, Link: link, TrapExit: trap, Mailbox: Mailbox{Limit: limit, Overflow: Overflow(overflow)}}
		if named {
			o.Name = NewName[any](label)
		}
		ref, err := Start[any](quiet, &script{}, o)
		if err != nil {
			if !errors.Is(err, ErrInvalid) {
				t.Fatal(err)
			}
			return
		}
		if limit < 0 || link || overflow < 0 || overflow > int(Wait) {
			t.Fatalf("%+v was taken", o)
		}
		if n, err := Call(quiet, ref, ask); n != 42 || err != nil {
			t.Errorf("%d, %v", n, err)
		}
		if i := ref.PID().Info(); label != "" && i.Label != label || i.TrapExit != trap {
			t.Errorf("%+v", i)
		}
		if kind := supervise.ReasonKind(end % 4); kind != Normal {
			ref.PID().Exit(Reason{Kind: kind})
		}
		if !trap && end%4 != 0 || end%4 == uint8(Killed) {
			<-ref.PID().Done()
		}
		if err := ref.PID().Shutdown(quiet); err != nil {
			t.Error(err)
		}
	})
}
