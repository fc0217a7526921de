package actor

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
	"unicode/utf8"
)

// counter is a Server whose state is worth showing.
type counter struct{ N int }

func (c *counter) Handle(self *Self[any], m any) error {
	switch m := m.(type) {
	case string:
		if m == "panic" {
			panic(fmt.Errorf("at %d: %w", c.N, errBoom))
		}
		if m == "error" {
			return errBoom
		}
	case func(*Self[any]):
		m(self)
	}
	c.N++
	return nil
}

// Terminate is a fault when the process is asked to end.
func (c *counter) Terminate(_ context.Context, _ *Self[any], r Reason) {
	if r.Kind == Shutdown {
		panic("terminated")
	}
}

func (c *counter) Info(_ *Self[any], info any) error {
	if info == "panic" {
		panic("informed")
	}
	return nil
}

func collect() (context.Context, *[]CrashReport) {
	got := new([]CrashReport)
	return WithReporter(context.Background(), func(c CrashReport) { *got = append(*got, c) }), got
}

func TestScenario106CrashReport(t *testing.T) {
	bubble(t, func(t *testing.T) {
		ctx, got := collect()
		parent, _ := Start[any](ctx, &counter{}, Options{Label: "parent"})
		neighbour, _ := Start[any](quiet, &counter{}, Options{Label: "neighbour", TrapExit: true})
		var a Ref[any]
		_ = parent.Cast(func(self *Self[any]) { a, _ = Start[any](self, &counter{}, Options{Label: "a"}) })
		synctest.Wait()
		a.s.Link(neighbour.PID())
		watcher, told := log(t)
		watcher.s.Monitor(a.PID())
		for range 3 {
			_ = a.Cast("fine")
		}
		time.Sleep(time.Minute)
		_ = a.PID().Suspend(ctx)
		_ = a.Cast("fine")
		_ = a.Cast("panic")
		for i := range 20 {
			_ = a.Cast(i)
		}
		_ = a.PID().Resume(ctx)
		<-a.PID().Gone()
		synctest.Wait()
		if len(*got) != 1 || len(*told) != 1 {
			t.Fatalf("%d reports, %d told", len(*got), len(*told))
		}
		c := (*got)[0]
		var broken *PanicError
		if c.PID != a.PID() || c.Label != "a" || !c.At.Equal(time.Now()) || c.Uptime != time.Minute ||
			!errors.As(c.Reason.Err, &broken) || !errors.Is(c.Reason.Err, errBoom) {
			t.Errorf("%+v", c)
		}
		if c.LastMessage != "panic" || c.State != "&{N:4}" || c.Messages != 4 {
			t.Errorf("last %q, state %q, after %d", c.LastMessage, c.State, c.Messages)
		}
		if c.Mailbox != 20 || !slices.Equal(c.Waiting, strings.Fields("0 1 2 3 4 5 6 7 8 9")) {
			t.Errorf("%d wait, the first %v", c.Mailbox, c.Waiting)
		}
		if !slices.Equal(c.Ancestors, []string{parent.String()}) || len(c.Links) != 1 || c.Links[0].Label != "neighbour" {
			t.Errorf("ancestors %v, links %v", c.Ancestors, c.Links)
		}
		if !strings.Contains(c.Stack, "report_test.go") || !strings.Contains(c.Stack, "Handle") {
			t.Errorf("the stack is not that of the panic:\n%s", c.Stack)
		}
		parent.PID().Kill()
		neighbour.PID().Kill()
		watcher.PID().Kill()
	})
}

// The last message is the one that was being handled: none in an exit between two of them, none in a Continue of Init,
// and the Info when that broke it.
func TestLastMessageOfAReport(t *testing.T) {
	bubble(t, func(t *testing.T) {
		ctx, got := collect()
		leave := Reason{Kind: Shutdown}
		for what, c := range map[string]struct {
			do            func(Ref[any])
			last          string
			messages, box int
		}{
			"error": {func(a Ref[any]) { _ = a.Cast("one"); _ = a.Cast("error"); _ = a.Cast("two") }, "error", 1, 1},
			"info":  {func(a Ref[any]) { _ = a.Cast("one"); _ = a.PID().Inform("panic"); _ = a.Cast("two") }, "panic", 1, 1},
			"exit between two": {func(a Ref[any]) {
				_ = a.Cast(func(self *Self[any]) { self.PID().Exit(leave) })
				_ = a.Cast("next")
			}, "", 1, 1},
			"exit of one at rest": {func(a Ref[any]) { a.PID().Exit(leave) }, "", 0, 0},
		} {
			*got = nil
			for _, box := range []Mailbox{{}, {Limit: 10}} {
				a, _ := Start[any](ctx, &counter{}, Options{Mailbox: box})
				_ = a.PID().Suspend(ctx)
				c.do(a)
				_ = a.PID().Resume(ctx)
				<-a.PID().Gone()
			}
			for _, r := range *got {
				if r.LastMessage != c.last || int(r.Messages) != c.messages || r.Mailbox != c.box || len(r.Waiting) != c.box {
					t.Errorf("%s: last %q, %d handled, %d wait %v", what, r.LastMessage, r.Messages, r.Mailbox, r.Waiting)
				}
			}
			if len(*got) != 2 {
				t.Errorf("%s: %d reports", what, len(*got))
			}
		}
	})
}

// Long texts are cut, between two runes, and a report says how long they were.
func TestReportIsCut(t *testing.T) {
	bubble(t, func(t *testing.T) {
		ctx, got := collect()
		a, _ := Start[any](ctx, &counter{}, Options{})
		long := "x" + strings.Repeat("ü", 10_000)
		_ = a.PID().Suspend(ctx)
		_ = a.Cast("panic")
		_ = a.Cast(long)
		_ = a.PID().Resume(ctx)
		<-a.PID().Gone()
		text := (*got)[0].Waiting[0]
		if len(text) > reportText+20 || !utf8.ValidString(text) || !strings.HasSuffix(text, "ü… (20001 bytes)") {
			t.Errorf("%d bytes, %q", len(text), text[len(text)-20:])
		}
	})
}

// Without a Reporter, and when it panics, reports go to log/slog.
func TestReportGoesToTheLog(t *testing.T) { //nolint:paralleltest // it changes the log of the program
	var text bytes.Buffer
	was := slog.Default()
	slog.SetDefault(slog.New(slog.NewTextHandler(&text, nil)))
	defer slog.SetDefault(was)
	broken := WithReporter(context.Background(), func(CrashReport) { panic("reporter") })
	for _, ctx := range []context.Context{context.Background(), broken} {
		text.Reset()
		a, err := Start[any](ctx, &counter{}, Options{Label: "it"})
		if err != nil {
			t.Fatal(err)
		}
		_ = a.Cast("panic")
		<-a.PID().Gone()
		for _, want := range []string{"process crashed", "it>", "boom", "last_message=panic", "report_test.go"} {
			if !strings.Contains(text.String(), want) {
				t.Errorf("no %q in %s", want, text.String())
			}
		}
		if ctx == broken && !strings.Contains(text.String(), "panic=reporter") {
			t.Errorf("the fault of the reporter is hidden: %s", text.String())
		}
	}
	text.Reset()
	a, err := Start[any](WithReporter(broken, nil), unshowable{t}, Options{Label: "it"})
	if err != nil {
		t.Fatal(err)
	}
	_ = a.Cast("crash")
	<-a.PID().Gone()
	if text.Len() > 0 {
		t.Errorf("reports are off, and yet: %s", &text)
	}
}

// unshowable is a server of which nobody is to make a report.
type unshowable struct{ t *testing.T }

func (u unshowable) Handle(*Self[any], any) error { return errBoom }

func (u unshowable) Redact(any) any {
	u.t.Error("a report was made that nobody wanted")
	return nil
}

// Whoever starts a process in another one's callback is its ancestor, and so on up.
func TestAncestors(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var refs [3]Ref[any]
		refs[0] = must(t, &counter{}, Options{Label: "first"})
		for i := range 2 {
			_ = refs[i].Cast(func(self *Self[any]) {
				refs[i+1], _ = Start[any](context.WithValue(self, selfKey2{}, i), &counter{}, Options{Label: fmt.Sprint(i)})
			})
			synctest.Wait()
		}
		if got := refs[2].PID().Info().Ancestors; !slices.Equal(got, []string{refs[1].String(), refs[0].String()}) {
			t.Errorf("%v", got)
		}
		for _, r := range refs {
			r.PID().Kill()
		}
	})
}

// A crash is reported by the one that crashed, and not by all those that end with it.
func TestCrashIsReportedOnce(t *testing.T) {
	bubble(t, func(t *testing.T) {
		ctx, got := collect()
		var refs []Ref[any]
		for i := range 100 {
			r, _ := Start[any](ctx, &script{}, Options{TrapExit: i%3 == 1})
			if i > 0 {
				r.s.Link(refs[i/2].PID())
			}
			refs = append(refs, r)
		}
		_ = refs[0].Cast(errBoom)
		synctest.Wait()
		if len(*got) != 1 || (*got)[0].PID != refs[0].PID() {
			t.Errorf("%d reports", len(*got))
		}
		for _, r := range refs {
			r.PID().Kill()
		}
	})
}
