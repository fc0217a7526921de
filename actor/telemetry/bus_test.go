package telemetry

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

// recorder is a handler that writes down what it gets.
type recorder struct {
	mu  sync.Mutex
	got []string
}

func (r *recorder) handle(_ context.Context, e Event) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.got = append(r.got, fmt.Sprint(e.Name, " ", e.Measurements, " ", e.Metadata, " ", e.Config))
}

func (r *recorder) saw(t *testing.T, want ...string) {
	t.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	if !slices.Equal(r.got, want) {
		t.Errorf("got\n\t%s\nwant\n\t%s", strings.Join(r.got, "\n\t"), strings.Join(want, "\n\t"))
	}
	r.got = nil
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestAttachExecuteDetach(t *testing.T) {
	t.Parallel()
	var b Bus
	var r recorder
	ctx := t.Context()
	b.Execute(ctx, "a.b", 1, nil)
	must(t, b.Attach("h", "a.b", r.handle, "config"))
	b.Execute(ctx, "a.b", 2, "meta")
	b.Execute(ctx, "a", 3, nil)
	b.Execute(ctx, "a.b.c", 4, nil)
	r.saw(t, "a.b 2 meta config")
	must(t, b.Detach("h"))
	b.Execute(ctx, "a.b", 5, nil)
	r.saw(t)
	if err := b.Detach("h"); !errors.Is(err, ErrNotFound) {
		t.Errorf("twice: %v", err)
	}
	must(t, b.Attach("h", "a.b", r.handle, nil)) // the id is free again
}

func TestAttachMany(t *testing.T) {
	t.Parallel()
	var b Bus
	var r recorder
	must(t, b.AttachMany("h", []string{"y", "x", "y"}, r.handle, 0))
	b.Execute(t.Context(), "x", 1, 2)
	b.Execute(t.Context(), "y", 3, 4)
	r.saw(t, "x 1 2 0", "y 3 4 0")
	must(t, b.Detach("h"))
	if b.Listening("x") || b.Listening("y") || len(b.List("")) != 0 {
		t.Errorf("left: %v", b.List(""))
	}
}

func TestDuplicateID(t *testing.T) {
	t.Parallel()
	var b Bus
	var r recorder
	must(t, b.Attach("h", "a", r.handle, nil))
	e := NewEmitter[int, int](&b, "b")
	for _, err := range []error{
		b.Attach("h", "b", r.handle, nil), b.AttachMany("h", []string{"c"}, r.handle, nil), e.Attach("h", func(context.Context, int, int) {}),
	} {
		if !errors.Is(err, ErrAlreadyExists) {
			t.Error(err)
		}
	}
	if l := b.List(""); len(l) != 1 || l[0].Event != "a" {
		t.Errorf("%v", l)
	}
}

func TestInvalid(t *testing.T) {
	t.Parallel()
	var b Bus
	var r recorder
	var zero Emitter[int, int]
	zero.Execute(t.Context(), 1, 2)
	_, spanErr := Span[int, int](t.Context(), nil, 0, nil)
	for _, err := range []error{
		b.Attach("", "a", r.handle, nil), b.Attach("h", "", r.handle, nil), b.Attach("h", "a", nil, nil), b.AttachMany("h", nil, r.handle, nil),
		b.AttachMany("h", []string{"a", ""}, r.handle, nil), zero.Attach("h", func(context.Context, int, int) {}),
		NewEmitter[int, int](&b, "e").Attach("h", nil), NewEmitter[int, int](&b, "").Attach("h", func(context.Context, int, int) {}), spanErr,
	} {
		if !errors.Is(err, ErrInvalid) {
			t.Error(err)
		}
	}
	if len(b.List("")) != 0 {
		t.Error("something invalid is attached")
	}
}

func TestListByPrefix(t *testing.T) {
	t.Parallel()
	var b Bus
	var r recorder
	must(t, b.AttachMany("1", []string{"shop.order.placed", "shop.orders", "shop.order"}, r.handle, "one"))
	must(t, b.AttachMany("2", []string{"shop.order", "web"}, r.handle, "two"))
	for prefix, want := range map[string]string{
		"":           "shop.order/1 shop.order/2 shop.order.placed/1 shop.orders/1 web/2",
		"shop":       "shop.order/1 shop.order/2 shop.order.placed/1 shop.orders/1",
		"shop.order": "shop.order/1 shop.order/2 shop.order.placed/1",
		"shop.or":    "", "web.x": "",
	} {
		var got []string
		for _, a := range b.List(prefix) {
			got = append(got, a.Event+"/"+a.ID)
			if want := map[string]string{"1": "one", "2": "two"}[a.ID]; a.Config != want || a.Handler == nil {
				t.Errorf("%+v", a)
			}
		}
		if s := strings.Join(got, " "); s != want {
			t.Errorf("%q: %s, want %s", prefix, s, want)
		}
	}
}

// A handler that panics is detached, the others are called, and the failure is told of once.
func TestHandlerThatPanics(t *testing.T) {
	t.Parallel()
	for _, typed := range []bool{false, true} {
		var b Bus
		var r recorder
		e := NewEmitter[int, string](&b, "a")
		calls := 0
		if typed {
			must(t, e.Attach("bad", func(context.Context, int, string) { calls++; panic("boom") }))
		} else {
			must(t, b.AttachMany("bad", []string{"a", "other"}, func(context.Context, Event) { calls++; panic("boom") }, "its config"))
		}
		must(t, b.Attach("good", "a", r.handle, nil))
		var failures []Failure
		must(t, b.Attach("failure", FailureEvent, func(_ context.Context, e Event) {
			if e.Measurements.(FailureMeasurements).At.IsZero() {
				t.Error("no time")
			}
			failures = append(failures, e.Metadata.(Failure))
		}, nil))
		for range 3 {
			e.Execute(t.Context(), 1, "m")
		}
		r.saw(t, "a 1 m <nil>", "a 1 m <nil>", "a 1 m <nil>")
		if calls != 1 || len(failures) != 1 {
			t.Fatalf("%d calls, %d failures", calls, len(failures))
		}
		f := failures[0]
		if f.ID != "bad" || f.Event != "a" || f.Panic != "boom" || !strings.Contains(string(f.Stack), "TestHandlerThatPanics") || !typed && f.Config != "its config" {
			t.Errorf("%+v\n%s", f, f.Stack)
		}
		if b.Listening("other") || !errors.Is(b.Detach("bad"), ErrNotFound) {
			t.Error("it is still attached")
		}
	}
}

func TestFailureHandlerThatPanics(t *testing.T) {
	t.Parallel()
	var b Bus
	var failed []string
	must(t, b.Attach("first", FailureEvent, func(context.Context, Event) { panic(1) }, nil))
	must(t, b.Attach("second", FailureEvent, func(_ context.Context, e Event) { failed = append(failed, e.Metadata.(Failure).ID) }, nil))
	must(t, b.Attach("bad", "a", func(context.Context, Event) { panic(2) }, nil))
	b.Execute(t.Context(), "a", nil, nil)
	if !slices.Equal(failed, []string{"first", "bad"}) {
		t.Errorf("told of %v", failed)
	}
}

func TestHandlerThatEndsItsGoroutine(t *testing.T) {
	t.Parallel()
	var b Bus
	var failures []Failure
	must(t, b.Attach("bad", "a", func(context.Context, Event) { runtime.Goexit() }, nil))
	must(t, b.Attach("failure", FailureEvent, func(_ context.Context, e Event) { failures = append(failures, e.Metadata.(Failure)) }, nil))
	var ends sync.WaitGroup
	went := false
	ends.Go(func() { b.Execute(t.Context(), "a", nil, nil); went = true })
	ends.Wait()
	if went || len(failures) != 1 || failures[0].Panic != nil || b.Listening("a") {
		t.Errorf("went on: %v, failures %v", went, failures)
	}
}

// A handler may change who is attached: the event under way goes to those that there were.
func TestHandlerThatAttachesAndDetaches(t *testing.T) {
	t.Parallel()
	var b Bus
	var r recorder
	must(t, b.Attach("changes", "a", func(ctx context.Context, e Event) {
		must(t, b.Detach("old"))
		must(t, b.Attach("new", "a", r.handle, "new"))
		must(t, b.Detach("changes"))
	}, nil))
	must(t, b.Attach("old", "a", r.handle, "old"))
	b.Execute(t.Context(), "a", 1, 1)
	r.saw(t, "a 1 1 old")
	b.Execute(t.Context(), "a", 2, 2)
	r.saw(t, "a 2 2 new")
}

func TestEmitterAndBusMeet(t *testing.T) {
	t.Parallel()
	var b Bus
	type amount struct{ Cents int }
	e := NewEmitter[amount, error](&b, "placed")
	other := NewEmitter[int, error](&b, "placed")
	var got []amount
	must(t, e.Attach("typed", func(_ context.Context, a amount, _ error) { got = append(got, a) }))
	var r recorder
	must(t, b.Attach("untyped", "placed", r.handle, nil))
	e.Execute(t.Context(), amount{1}, nil)
	b.Execute(t.Context(), "placed", amount{2}, nil)
	b.Execute(t.Context(), "placed", amount{3}, errors.New("x"))
	other.Execute(t.Context(), 4, nil)
	b.Execute(t.Context(), "placed", nil, nil)
	if want := []amount{{1}, {2}, {3}}; !reflect.DeepEqual(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	r.saw(t, "placed {1} <nil> <nil>", "placed {2} <nil> <nil>", "placed {3} x <nil>", "placed 4 <nil> <nil>", "placed <nil> <nil> <nil>")
	if l := b.List("placed"); len(l) != 2 || e.Name() != "placed" {
		t.Errorf("%v", l)
	}
}

func TestDefaultBus(t *testing.T) {
	t.Parallel()
	var r recorder
	const name = "telemetry.test.default"
	must(t, Attach("d1", name, r.handle, nil))
	must(t, AttachMany("d2", []string{name}, r.handle, nil))
	NewEmitter[int, int](nil, name).Execute(t.Context(), 1, 1)
	Execute(t.Context(), name, 2, 2)
	r.saw(t, name+" 1 1 <nil>", name+" 1 1 <nil>", name+" 2 2 <nil>", name+" 2 2 <nil>")
	if len(List(name)) != 2 {
		t.Error(List(name))
	}
	must(t, Detach("d1"))
	must(t, Detach("d2"))
}

// Many goroutines attach, detach and execute. Whoever has attached gets every event that it executes itself until it has
// detached, and none after that; a handler that fails in many goroutines at the same time is told of once.
func TestConcurrent(t *testing.T) {
	t.Parallel()
	var b Bus
	var failed atomic.Int64
	must(t, b.Attach("failure", FailureEvent, func(context.Context, Event) { failed.Add(1) }, nil))
	e := NewEmitter[int, int](&b, "a")
	var all sync.WaitGroup
	for g := range 8 {
		all.Go(func() {
			id := fmt.Sprint("h", g)
			for i := range 200 {
				n := 0
				mine := func(_ context.Context, m, d int) {
					if m == g && d == i {
						n++
					}
				}
				must(t, e.Attach(id, mine))
				e.Execute(t.Context(), g, i)
				b.Execute(t.Context(), "a", g, i)
				must(t, b.Detach(id))
				e.Execute(t.Context(), g, i)
				if n != 2 {
					t.Errorf("%d events", n)
				}
				if i%50 == 0 {
					_ = b.Attach("bad", "a", func(context.Context, Event) { panic("boom") }, nil)
				}
			}
		})
	}
	all.Wait()
	if n := failed.Load(); n == 0 || n > 8*4 {
		t.Errorf("%d failures told", n)
	}
}
