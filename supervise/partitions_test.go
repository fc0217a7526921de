package supervise

import (
	"context"
	"fmt"
	"hash/fnv"
	"runtime"
	"testing"
	"testing/synctest"
	"time"
)

// partitions starts some that are stopped at the end of the test.
func (l *lab) partitions(f PartitionFlags, options ...func(*ChildSpec)) *Partitions {
	l.t.Helper()
	p, err := StartPartitions(bg, f, func(i int) ChildSpec { return l.spec(fmt.Sprint(i), options...) },
		Options{Observe: l.observe})
	if err != nil {
		l.t.Fatal(err)
	}
	l.t.Cleanup(p.Kill)
	return p
}

func (l *lab) wantPartitions(p *Partitions, want string) {
	l.t.Helper()
	synctest.Wait()
	if got := states(p.Children()); got != want {
		l.t.Errorf("partitions\n got %s\nwant %s", got, want)
	}
}

// Each copy is given its number, at every start, and its id is that number whatever its spec says.
func TestScenario144PartitionArguments(t *testing.T) {
	bubble(t, func(l *lab) {
		p, err := StartPartitions(bg, PartitionFlags{Partitions: 3, Intensity: 1}, func(i int) ChildSpec {
			s := l.spec(fmt.Sprint("copy", i))
			return s
		}, Options{})
		l.ok(err)
		l.t.Cleanup(p.Kill)
		l.want("start copy0, start copy1, start copy2")
		l.crash("copy1")
		l.want("start copy1")
		l.wantPartitions(p, "0:running 1:running 2:running")
		l.ok(p.Stop(bg))
		l.want("stop copy2, stop copy1, stop copy0")
		var _ Notifier = p
	})
}

func TestScenario145PartitionResize(t *testing.T) {
	for _, strategy := range every {
		t.Run(strategy.String(), func(t *testing.T) {
			bubble(t, func(l *lab) {
				p := l.partitions(PartitionFlags{Partitions: 4, Strategy: strategy, Intensity: 9})
				l.take()
				l.ok(p.Resize(bg, 2))
				l.want("stop 3, stop 2")
				l.crash("0")
				l.wantPartitions(p, "0:running 1:running") // no strategy brings those beyond back
				l.take()
				l.ok(p.Resize(bg, 4))
				l.want("start 2, start 3")
				l.ok(p.Resize(bg, 4))
				l.ok(p.Resize(bg, 0))
				l.want("stop 3, stop 2, stop 1, stop 0")
				if p.For(7) != nil || p.ForString("x") != nil {
					t.Error("a key leads somewhere")
				}
				l.ok(p.Resize(bg, 1))
				if p.For(7) != l.unit("0") || p.Size() != 1 {
					t.Error("a key leads nowhere")
				}
				l.wantErr(p.Resize(bg, 5), ErrInvalid)
				l.wantErr(p.Resize(bg, -1), ErrInvalid)
			})
		})
	}
}

// A Resize that fails, or that nobody waits for, leaves a number that the next one can begin from.
func TestPartitionResizeFails(t *testing.T) {
	bubble(t, func(l *lab) {
		p := l.partitions(PartitionFlags{Partitions: 4})
		l.ok(p.Resize(bg, 0))
		l.fails["2"] = 1
		l.wantErr(p.Resize(bg, 4), errNope)
		l.wantPartitions(p, "0:running 1:running")
		if p.Size() != 2 {
			t.Errorf("size %d", p.Size())
		}
		l.ok(p.Resize(bg, 4))

		l.set(func() { l.grace["3"] = time.Second / 2 })
		ctx, cancel := context.WithTimeout(bg, time.Second/4)
		defer cancel()
		l.wantErr(p.Resize(ctx, 2), context.DeadlineExceeded)
		if p.Size() != 2 {
			t.Errorf("size %d", p.Size())
		}
		l.wantErr(p.Resize(ctx, 4), context.DeadlineExceeded)
		l.ok(p.Resize(bg, 4)) // waits for the end of 3, and starts it anew
		l.wantPartitions(p, "0:running 1:running 2:running 3:running")
		l.ok(p.Stop(bg))
		l.wantErr(p.Resize(bg, 1), ErrStopping)
	})
}

func TestPartitionResizesTakeTurns(t *testing.T) {
	bubble(t, func(l *lab) {
		p := l.partitions(PartitionFlags{Partitions: 2})
		l.set(func() { l.grace["1"] = time.Minute })
		l.take()
		go func() { _ = p.Resize(bg, 1) }()
		synctest.Wait()
		ctx, cancel := context.WithTimeout(bg, time.Millisecond)
		defer cancel()
		l.wantErr(p.Resize(ctx, 2), context.DeadlineExceeded)
		l.wantPartitions(p, "0:running 1:stopping")
		l.ok(p.Resize(bg, 2))
		l.want("stop 1, kill 1, start 1")
	})
}

func TestScenario146PartitionRouting(t *testing.T) {
	bubble(t, func(l *lab) {
		p := l.partitions(PartitionFlags{Partitions: 3, Intensity: 9})
		for key := range uint64(20) {
			if got := p.For(key); got != l.unit(fmt.Sprint(key%3)) {
				t.Errorf("%d leads to %v", key, got)
			}
		}
		if p.For(1<<64-1) != l.unit("0") {
			t.Error("the last key")
		}
		for _, key := range []string{"", "a", "foobar", "ключ"} {
			h := fnv.New64a()
			_, _ = h.Write([]byte(key))
			if p.ForString(key) != p.For(h.Sum64()) {
				t.Errorf("%q is not led by FNV-1a", key)
			}
		}
		old := p.For(1)
		l.crash("1")
		if now := p.For(1); now == old || now != l.unit("1") {
			t.Error("leads to the incarnation before")
		}
		l.set(func() { l.hangs["2"] = true })
		l.crash("2")
		if got := p.For(2); got != nil {
			t.Errorf("leads to %v, which does not run", got)
		}
	})
}

// Any key may be looked up at any time.
func TestPartitionRoutingWhileResizing(t *testing.T) {
	t.Parallel()
	p, err := StartPartitions(bg, PartitionFlags{Partitions: 8, Intensity: 1}, func(int) ChildSpec {
		return ChildSpec{Start: newQuick}
	}, Options{})
	if err != nil {
		t.Fatal(err)
	}
	stop := make(chan struct{})
	done := make(chan int)
	go func() {
		var found int
		for key := uint64(0); ; key++ {
			select {
			case <-stop:
				done <- found
				return
			default:
				if p.For(key) != nil {
					found++
				}
			}
		}
	}()
	for i := range 50 {
		if err := p.Resize(bg, i*5%9); err != nil {
			t.Error(err)
		}
	}
	close(stop)
	<-done
	if err := p.Stop(bg); err != nil {
		t.Error(err)
	}
}

func TestScenario147PartitionOptions(t *testing.T) {
	bubble(t, func(l *lab) {
		one := func(int) ChildSpec { return l.spec("x") }
		for name, c := range map[string]struct {
			f    PartitionFlags
			spec func(int) ChildSpec
		}{
			"negative":    {PartitionFlags{Partitions: -1}, one},
			"no spec":     {PartitionFlags{}, nil},
			"strategy":    {PartitionFlags{Strategy: 9}, one},
			"intensity":   {PartitionFlags{Intensity: -1}, one},
			"period":      {PartitionFlags{Period: -1}, one},
			"start":       {PartitionFlags{}, func(int) ChildSpec { return ChildSpec{} }},
			"significant": {PartitionFlags{}, func(int) ChildSpec { return l.spec("x", transient, significant) }},
		} {
			p, err := StartPartitions(bg, c.f, c.spec, Options{})
			l.wantErr(err, ErrInvalid)
			if p != nil {
				t.Errorf("%s: started", name)
			}
		}
		p := l.partitions(PartitionFlags{Name: "p"})
		if f := p.Flags(); f.Partitions != runtime.GOMAXPROCS(0) || f.Period != 5*time.Second || p.Count().Active != f.Partitions {
			t.Errorf("%+v", f)
		}
		l.fails["other1"] = 1
		_, err := StartPartitions(bg, PartitionFlags{Partitions: 3},
			func(i int) ChildSpec { return l.spec(fmt.Sprint("other", i)) }, Options{})
		if want := "start 1: nope"; err == nil || err.Error() != want {
			t.Errorf("error %v, want %s", err, want)
		}
	})
}
