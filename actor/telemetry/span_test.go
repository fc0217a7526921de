package telemetry

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

type query struct{ Table string }

func TestSpan(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var b Bus
		op := NewOperation[query](&b, "db.query")
		var starts []time.Time
		var ids []uint64
		must(t, op.Start.Attach("start", func(_ context.Context, m StartMeasurements, d SpanMetadata[query]) {
			starts, ids = append(starts, m.At), append(ids, d.Span)
		}))
		must(t, op.Stop.Attach("stop", func(_ context.Context, m StopMeasurements, d SpanMetadata[query]) {
			last := len(starts) - 1
			if m.Duration != 3*time.Second || m.At.Sub(starts[last]) != m.Duration || d.Span != ids[last] || d.Metadata.Table != "orders" {
				t.Errorf("%+v %+v", m, d)
			}
			if d.Result != 7 || d.Err == nil != (last == 0) {
				t.Errorf("result %v, %v", d.Result, d.Err)
			}
		}))
		must(t, op.Exception.Attach("exception", func(context.Context, StopMeasurements, SpanMetadata[query]) { t.Error("exception") }))
		for _, want := range []error{nil, errors.New("boom")} {
			n, err := Span(t.Context(), op, query{"orders"}, func(context.Context) (int, error) { time.Sleep(3 * time.Second); return 7, want })
			if n != 7 || err != want {
				t.Errorf("%d, %v", n, err)
			}
		}
		if len(ids) != 2 || ids[0] == ids[1] {
			t.Errorf("spans %v", ids)
		}
	})
}

func TestSpanException(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var b Bus
		op := NewOperation[query](&b, "db.query")
		var got []string
		must(t, b.AttachMany("all", op.Events(), func(_ context.Context, e Event) {
			got = append(got, e.Name)
			if m, ok := e.Measurements.(StopMeasurements); ok {
				d := e.Metadata.(SpanMetadata[query])
				got = append(got, fmt.Sprint(m.Duration, d.Panic, strings.Contains(string(d.Stack), "deep")))
			}
		}, nil))
		func() {
			defer func() {
				if v := recover(); v != "boom" {
					t.Errorf("the panic became %v", v)
				}
			}()
			_, _ = Span(t.Context(), op, query{}, func(context.Context) (int, error) { time.Sleep(time.Second); deep(); return 0, nil })
		}()
		var ends sync.WaitGroup
		ends.Go(func() {
			_, _ = Span(t.Context(), op, query{}, func(context.Context) (int, error) { runtime.Goexit(); return 0, nil })
		})
		ends.Wait()
		want := []string{"db.query.start", "db.query.exception", "1sboomtrue", "db.query.start", "db.query.exception", "0s<nil>false"}
		want[2], want[5] = fmt.Sprint(time.Second, "boom", true), fmt.Sprint(time.Duration(0), nil, false)
		if !slices.Equal(got, want) {
			t.Errorf("%q, want %q", got, want)
		}
	})
}

//go:noinline
func deep() { panic("boom") }

// There are no halves of spans.
func TestSpanThatIsListenedToFromItsMiddle(t *testing.T) {
	t.Parallel()
	var b Bus
	op := NewOperation[query](&b, "q")
	var r recorder
	for _, o := range []*Operation[query]{op, nil, {}} {
		n, err := Span(t.Context(), o, query{}, func(context.Context) (int, error) { return 5, b.AttachMany("h", op.Events(), r.handle, nil) })
		if n != 5 || err != nil {
			t.Errorf("%d, %v", n, err)
		}
		r.saw(t)
		must(t, b.Detach("h"))
	}
}

func TestLogHandler(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	l := slog.New(slog.NewTextHandler(&out, &slog.HandlerOptions{ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
		if a.Key == slog.TimeKey || a.Key == slog.LevelKey {
			return slog.Attr{}
		}
		return a
	}}))
	var b Bus
	must(t, b.Attach("log", "e", LogHandler(l, slog.LevelInfo), nil))
	must(t, b.Attach("debug", "e", LogHandler(l, slog.LevelDebug), nil))
	must(t, b.Attach("default", "e", LogHandler(nil, slog.LevelDebug), nil))
	type amount struct {
		Cents, MaxHTTPSize int
		hidden             bool
	}
	for _, x := range []struct {
		m, d any
		want string
	}{
		{amount{Cents: 995, hidden: true}, &query{"orders"}, "msg=e cents=995 max_http_size=0 table=orders"},
		{map[string]any{"b": 2, "a": 1}, []slog.Attr{slog.Bool("c", true)}, "msg=e a=1 b=2 c=true"},
		{7, errors.New("boom"), "msg=e value=7 error=boom"},
		{nil, struct{}{}, "msg=e"},
		{(*query)(nil), time.Unix(0, 0).UTC(), "msg=e value=<nil> value=1970-01-01T00:00:00.000Z"},
		{slog.IntValue(3), SpanMetadata[query]{Span: 1, Metadata: query{"t"}, Err: errors.New("x"), Panic: "p"}, "msg=e value=3 span=1 table=t error=x panic=p"},
	} {
		out.Reset()
		b.Execute(t.Context(), "e", x.m, x.d)
		if got := strings.TrimSpace(out.String()); got != x.want {
			t.Errorf("%s, want %s", got, x.want)
		}
	}
	if len(b.List("e")) != 3 {
		t.Error("a handler failed")
	}
}
