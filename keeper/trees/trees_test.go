package trees_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"semper"
	"semper/actor"
	"semper/actor/observer"
	"semper/keeper/trees"
	"semper/supervise"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var shop = trees.Member{Name: "shop/web.r1.1", Incarnation: 3}

type crashed struct {
	of trees.Member
	by trees.Peer
	c  observer.Crash
}

// hub opens one whose only member is whoever runs this test.
func hub(t *testing.T, known func() bool) (h *trees.Hub, path string, crashes chan crashed) {
	t.Helper()
	dir, err := os.MkdirTemp("", "tr") // short: a socket's path has to fit
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	path = filepath.Join(dir, "tree.sock")
	crashes = make(chan crashed, 100)
	h, err = trees.Listen(path, 0o622, trees.Options{
		Identify: func(p trees.Peer) (trees.Member, bool) {
			return shop, p.PID == os.Getpid() && p.UID == os.Getuid() && known()
		},
		Crash: func(m trees.Member, p trees.Peer, c observer.Crash) { crashes <- crashed{m, p, c} },
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(h.Close)
	return h, path, crashes
}

func always() bool { return true }

// cart breaks when it is told to.
type cart struct{ Items int }

func (c *cart) Handle(_ *actor.Self[string], m string) error {
	if m == "glass" {
		return errors.New("the glass broke")
	}
	c.Items++
	return nil
}

// until asks again and again, for what happens on the other side of a socket.
func until(t *testing.T, h *trees.Hub, what string, cond func([]trees.Program) bool) []trees.Program {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		if got := h.Ask(ctx)[shop]; cond(got) {
			return got
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("not seen: %s", what)
		}
	}
}

func TestAProgramShowsItsTreeAndItsCrashes(t *testing.T) {
	t.Parallel()
	h, path, crashes := hub(t, always)
	quiet := actor.WithReporter(t.Context(), func(actor.CrashReport) {})
	up := observer.NewUplink(observer.Options{Socket: path, Program: "shop"})
	name := actor.NewName[string]("cart")
	s, err := up.Run(quiet, supervise.Flags{Name: "shop", Intensity: 3, Period: time.Minute}, []supervise.ChildSpec{
		actor.Child("cart", func() actor.Server[string] { return &cart{} }, actor.Options{Name: name}),
	}, supervise.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := s.Stop(context.Background()); err != nil {
			t.Error(err)
		}
	}()
	until(t, h, "the tree", func(p []trees.Program) bool { return len(p) == 1 })
	if err := name.Cast("glass"); err != nil {
		t.Fatal(err)
	}
	c := <-crashes
	if c.of != shop || c.by.PID != os.Getpid() || c.c.Path != "shop/cart" || c.c.LastMessage != `"glass"` && c.c.LastMessage != "glass" {
		t.Errorf("%+v", c)
	}
	got := until(t, h, "the restart", func(p []trees.Program) bool {
		return len(p) == 1 && len(p[0].Tree.Children) == 2 && p[0].Tree.Children[1].Restarts == 1 && p[0].Tree.Children[1].State == "running"
	})
	n := got[0].Node()
	if got[0].Hello.Program != "shop" || n.Kind != "supervisor" || n.Strategy != "one_for_one" || n.Intensity != "3 in 1m0s" || n.Window != 1 {
		t.Errorf("%+v", n)
	}
	if a := n.Children[1]; a.Name != "cart" || a.Kind != "actor" || a.Process == "" || !strings.Contains(a.Reason, "the glass broke") || a.PID != 0 {
		t.Errorf("%+v", a)
	}
}

// dial connects without saying anything.
func dial(t *testing.T, path string) net.Conn {
	t.Helper()
	c, err := net.Dial("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	if err := c.SetDeadline(time.Now().Add(30 * time.Second)); err != nil {
		t.Fatal(err)
	}
	return c
}

func hungUp(t *testing.T, c net.Conn) {
	t.Helper()
	if _, err := io.Copy(io.Discard, c); errors.Is(err, os.ErrDeadlineExceeded) {
		t.Error("the connection is still there")
	}
}

func TestStrangersAreTurnedAway(t *testing.T) {
	t.Parallel()
	var known atomic.Bool
	_, path, _ := hub(t, known.Load)
	hungUp(t, dial(t, path))
}

func TestAMemberHasOnlySoManyConnections(t *testing.T) {
	t.Parallel()
	h, path, _ := hub(t, always)
	open := make([]net.Conn, trees.MaxConns)
	for i := range open {
		open[i] = greeted(t, path)
		answer(t, open[i], i, always)
	}
	until(t, h, "all of them", func(p []trees.Program) bool { return len(p) == trees.MaxConns })
	hungUp(t, dial(t, path))
	_ = open[0].Close()
	until(t, h, "one less", func(p []trees.Program) bool { return len(p) == trees.MaxConns-1 })
	again := greeted(t, path)
	answer(t, again, 99, always)
	until(t, h, "another one", func(p []trees.Program) bool { return len(p) == trees.MaxConns })
}

func greeted(t *testing.T, path string) net.Conn {
	t.Helper()
	c := dial(t, path)
	if _, err := fmt.Fprintf(c, `{"v":1,"hello":{"pid":1,"program":"raw"}}`+"\n"); err != nil {
		t.Fatal(err)
	}
	return c
}

// answer has c answer questions while it is loud and the test goes on.
func answer(t *testing.T, c net.Conn, name int, loud func() bool) {
	t.Helper()
	done := make(chan struct{})
	go func() {
		defer close(done)
		for lines := bufio.NewScanner(c); lines.Scan(); {
			var q struct{ ID uint64 }
			if err := json.Unmarshal(lines.Bytes(), &q); err != nil || !loud() {
				continue
			}
			fmt.Fprintf(c, `{"id":%d,"tree":{"id":"raw-%d","kind":"supervisor","state":"running"}}`+"\n", q.ID, name)
		}
	}()
	t.Cleanup(func() {
		_ = c.Close()
		<-done
	})
}

func TestASilentProgramIsShownAsItLastWas(t *testing.T) {
	t.Parallel()
	h, path, _ := hub(t, always)
	var silent atomic.Bool
	answer(t, greeted(t, path), 7, func() bool { return !silent.Load() })
	fresh := until(t, h, "its first answer", func(p []trees.Program) bool { return len(p) == 1 })
	if !fresh[0].From.IsZero() {
		t.Errorf("an answer of just now is stale: %+v", fresh[0])
	}
	silent.Store(true)
	for range 20 { // more than it may owe
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Millisecond)
		p := h.Ask(ctx)[shop]
		cancel()
		if len(p) != 1 || p[0].From.IsZero() || p[0].Tree.ID != "raw-7" || p[0].Node().StaleFrom.IsZero() {
			t.Fatalf("%+v", p)
		}
	}
}

func TestTheEndOfAnIncarnationHangsUp(t *testing.T) {
	t.Parallel()
	h, path, crashes := hub(t, always)
	c := greeted(t, path)
	answer(t, c, 1, always)
	until(t, h, "it", func(p []trees.Program) bool { return len(p) == 1 })
	h.End(trees.Member{Name: shop.Name, Incarnation: shop.Incarnation - 1}) // another
	if _, err := fmt.Fprintf(c, `{"crash":{"pid":"<1>","reason":"crash: last words"}}`+"\n"); err != nil {
		t.Fatal(err)
	}
	h.End(shop)
	if got := <-crashes; got.c.Reason != "crash: last words" {
		t.Errorf("%+v", got)
	}
	until(t, h, "its end, though the connection is still open here", func(p []trees.Program) bool { return len(p) == 0 })
}

func TestCloseEndsWhoHasNotSaidWhoItIs(t *testing.T) {
	t.Parallel()
	h, path, _ := hub(t, always)
	c := dial(t, path)
	h.Close()
	hungUp(t, c)
}

func TestBudgetBoundsAndCounts(t *testing.T) {
	t.Parallel()
	var b trees.Budget
	now := time.Unix(1000, 0)
	for i := range trees.MaxCrashes {
		if dropped, ok := b.Take(now.Add(time.Duration(i) * time.Millisecond)); !ok || dropped != 0 {
			t.Fatalf("report %d: %d %v", i, dropped, ok)
		}
	}
	for range 5 {
		if _, ok := b.Take(now.Add(trees.CrashPeriod - 1)); ok {
			t.Fatal("one more than the budget")
		}
	}
	if dropped, ok := b.Take(now.Add(trees.CrashPeriod)); !ok || dropped != 5 {
		t.Errorf("the next period: %d %v", dropped, ok)
	}
	if dropped, ok := b.Take(now.Add(trees.CrashPeriod)); !ok || dropped != 0 {
		t.Errorf("told twice: %d %v", dropped, ok)
	}
}

func TestReportsAreBounded(t *testing.T) {
	t.Parallel()
	now := time.Unix(1000, 0)
	long := strings.Repeat("ü", 1<<20)
	r := trees.Report(observer.Crash{
		At: now.Add(time.Hour), Uptime: -1, Reason: "crash: " + long, LastMessage: long, State: long, Stack: long, Path: long,
		Waiting: strings.Split(strings.Repeat("x ", 1000), " "),
	}, now)
	b, err := json.Marshal(r)
	if err != nil || len(b) > 64<<10 {
		t.Errorf("%d bytes, %v", len(b), err)
	}
	if !r.At.Equal(now) || r.Uptime != 0 || r.Reason.Kind != semper.ReasonCrash || !r.Reason.Abnormal() {
		t.Errorf("%v %v %v", r.At, r.Uptime, r.Reason.Kind)
	}
}
