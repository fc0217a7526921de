package observer

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"semper/actor"
	"semper/supervise"
)

func TestTreeShowsEveryKind(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var dynamic *supervise.Dynamic
		s := start(t, supervise.Flags{Name: "shop", Strategy: supervise.RestForOne, Intensity: 3},
			actorSpec("cart"),
			supervise.ChildSpec{ID: "listener", Start: supervise.Serve(waits)},
			nested("jobs", func(ctx context.Context) (c supervise.Child, err error) {
				dynamic, err = supervise.StartDynamic(ctx, supervise.DynamicFlags{Name: "jobs", Intensity: 7, Period: time.Minute}, supervise.Options{})
				return dynamic, err
			}),
			nested("shards", func(ctx context.Context) (supervise.Child, error) {
				return supervise.StartPartitions(ctx, supervise.PartitionFlags{Name: "by-user", Partitions: 2}, func(int) supervise.ChildSpec { return actorSpec("") }, supervise.Options{})
			}),
			supervise.ChildSpec{ID: "off", Start: func(context.Context) (supervise.Child, error) { return nil, supervise.ErrIgnore }},
		)
		defer stop(t, s)
		if _, err := dynamic.StartChild(quiet, actorSpec("import")); err != nil {
			t.Fatal(err)
		}
		cart := ref(t, s, "cart")
		_ = cart.Cast(1)
		_ = cart.Cast(2)
		synctest.Wait()
		if err := cart.PID().Suspend(quiet); err != nil {
			t.Fatal(err)
		}
		_ = cart.Cast(3)
		synctest.Wait()

		n := Tree(s)
		if n.ID != "shop" || n.Kind != Supervisor || n.State != "running" || n.Strategy != "rest_for_one" || n.Intensity != 3 || n.Period != 5*time.Second || n.Label != "" {
			t.Errorf("root %+v", n)
		}
		c := below(t, n, "cart")
		if c.Kind != Actor || c.PID != pidText(cart.PID()) || c.Status != actor.StatusSuspended || c.Mailbox != 1 || c.State != "running" || c.Since.IsZero() {
			t.Errorf("cart %+v", c)
		}
		if l := below(t, n, "listener"); l.Kind != Service {
			t.Errorf("listener %+v", l)
		}
		if d := below(t, n, "jobs"); d.Kind != Supervisor || d.Strategy != "simple_one_for_one" || d.Intensity != 7 || d.Period != time.Minute || d.Label != "" {
			t.Errorf("jobs %+v", d)
		}
		if p := below(t, n, "shards"); p.Label != "by-user" || p.Strategy != "one_for_one" || len(p.Children) != 2 {
			t.Errorf("shards %+v", p)
		}
		if i := below(t, n, "jobs", "import"); i.Kind != Actor || i.Status != actor.StatusIdle {
			t.Errorf("import %+v", i)
		}
		if o := below(t, n, "off"); o.Kind != Child || o.State != "undefined" || o.PID != "" {
			t.Errorf("off %+v", o)
		}
	})
}

func TestTreeShowsRestartsAndReasons(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := start(t, supervise.Flags{Intensity: 5}, actorSpec("a"), actorSpec("b"))
		for range 2 {
			_ = ref(t, s, "a").Cast(errBoom)
			synctest.Wait()
		}
		n := Tree(s)
		if a := below(t, n, "a"); n.Window != 2 || a.Restarts != 2 || a.Ends != 2 || a.Last != "crash: boom" || a.State != "running" {
			t.Errorf("%+v", n)
		}
		if b := below(t, n, "b"); b.Restarts != 0 || b.Last != "" {
			t.Errorf("b %+v", b)
		}
		stop(t, s)
		if n := Tree(s); n.State != "ended" || n.Last == "" || n.ID != "root" {
			t.Errorf("after the stop: %+v", n)
		}
	})
}

func TestTreeSaysWhoBlocksAndWhoIsAbandoned(t *testing.T) {
	bubble(t, func(t *testing.T) {
		gate := make(chan struct{})
		stuck := actorSpec("stuck")
		stuck.Shutdown = 10 * time.Second
		s := start(t, supervise.Flags{Name: "top"}, nested("in", func(ctx context.Context) (supervise.Child, error) {
			return supervise.Start(ctx, supervise.Flags{Name: "in"}, []supervise.ChildSpec{stuck}, supervise.Options{})
		}))
		inner := s.Children()[0].Child
		_ = ref(t, inner, "stuck").Cast(func() { <-gate })
		synctest.Wait()
		s.Shutdown()
		synctest.Wait()
		n := Tree(s)
		if n.State != "stopping" || len(n.Blocking) != 1 || n.Blocking[0] != "in/stuck" {
			t.Errorf("while it stops: %+v", n)
		}
		time.Sleep(time.Minute) // virtual; stuck is killed
		n = Tree(s)
		if n.State != "ended" || len(n.Abandoned) != 1 || n.Abandoned[0].Path != "in/stuck" || n.Abandoned[0].Since.IsZero() {
			t.Errorf("when it is killed: %+v", n)
		}
		close(gate)
		synctest.Wait()
		if n := Tree(s); len(n.Abandoned) != 0 {
			t.Errorf("when it has returned: %+v", n)
		}
	})
}

func TestTreeListsThoseInTroubleFirst(t *testing.T) {
	bubble(t, func(t *testing.T) {
		d, err := supervise.StartDynamic(quiet, supervise.DynamicFlags{Name: "many", Intensity: 10}, supervise.Options{})
		if err != nil {
			t.Fatal(err)
		}
		defer stop(t, d)
		refs := map[int]actor.Ref[any]{}
		for i := range 3000 {
			c, err := d.StartChild(quiet, actorSpec(fmt.Sprint(i)))
			if err != nil {
				t.Fatal(err)
			}
			refs[i], _ = actor.RefOf[any](c.(process).PID())
		}
		if err := refs[2900].PID().Suspend(quiet); err != nil {
			t.Fatal(err)
		}
		_ = refs[2000].Cast(errBoom)
		gate := make(chan struct{})
		defer close(gate)
		_ = refs[2500].Cast(func() { <-gate })
		for range deep {
			_ = refs[2500].Cast(1)
		}
		synctest.Wait()
		n := Tree(d)
		if len(n.Children) != 1000 || n.More != 2000 {
			t.Fatalf("%d are listed, %d more", len(n.Children), n.More)
		}
		var first []string
		for _, c := range n.Children[:5] {
			first = append(first, c.ID)
		}
		if got := strings.Join(first, " "); got != "2900 2500 2000 0 1" {
			t.Errorf("first are %s", got)
		}
		line, err := fit(message{ID: 1, Tree: &n})
		if err != nil || len(line) > MaxLine {
			t.Errorf("a line of %d bytes, %v", len(line), err)
		}
	})
}

// However large a tree is, a line can hold it, and what is in trouble is still in it.
func TestTreeFitsIntoALine(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("\x01", 250)
	n := Node{ID: "root", Kind: Supervisor, State: "running"}
	for i := range 1000 {
		in := Node{ID: fmt.Sprint(i), Kind: Supervisor, State: "running"}
		for j := range 10 {
			c := Node{ID: fmt.Sprint(j), Kind: Actor, State: "running", Label: long}
			if i == 900 && j == 9 || j == 7 {
				c.State = "backoff"
			}
			in.Children = append(in.Children, c)
		}
		if i == 900 {
			in.State = "restarting"
		}
		n.Children = append(n.Children, in)
	}
	line, err := fit(message{ID: 7, Tree: &n})
	if err != nil || len(line) > MaxLine {
		t.Fatalf("%d bytes, %v", len(line), err)
	}
	m, err := decode(bytes.TrimSuffix(line, []byte("\n")))
	if err != nil {
		t.Fatal(err)
	}
	in := below(t, *m.Tree, "900")
	if len(m.Tree.Children)+m.Tree.More != 1000 || len(in.Children)+in.More != 10 || len(m.Tree.Children) < 10 {
		t.Errorf("%d and %d more; %d and %d more", len(m.Tree.Children), m.Tree.More, len(in.Children), in.More)
	}
	if len(in.Children) > 1 {
		below(t, in, "9")
		below(t, in, "7")
	}
}

func TestTreeIsLimitedInNodesAndDepth(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var deepen func(n int) func(ctx context.Context) (supervise.Child, error)
		deepen = func(n int) func(ctx context.Context) (supervise.Child, error) {
			return func(ctx context.Context) (supervise.Child, error) {
				specs := []supervise.ChildSpec{actorSpec("a"), actorSpec("b")}
				if n > 0 {
					specs = append(specs, nested("in", deepen(n-1)))
				}
				return supervise.Start(ctx, supervise.Flags{}, specs, supervise.Options{})
			}
		}
		c, err := deepen(10)(quiet)
		if err != nil {
			t.Fatal(err)
		}
		s := c.(*supervise.Supervisor)
		defer stop(t, s)
		n, all := tree(s, limits{children: 10, nodes: 10, depth: 50})
		if all < 9 || count(n) != 10 {
			t.Errorf("%d of %d nodes", count(n), all)
		}
		n, _ = tree(s, limits{children: 10, nodes: 1000, depth: 3})
		if inner := below(t, n, "in", "in", "in"); len(inner.Children) != 0 || inner.More != 3 {
			t.Errorf("at the limit of depth: %+v", inner)
		}
		if n, all := tree(s, treeLimits); count(n) != 33 || all != 32 {
			t.Errorf("%d nodes of %d children", count(n), all)
		}
	})
}

func count(n Node) int {
	all := 1
	for _, c := range n.Children {
		all += count(c)
	}
	return all
}

func TestTreeOfNobody(t *testing.T) {
	t.Parallel()
	if n := Tree(nil); n.State != "ended" || count(n) != 1 {
		t.Errorf("%+v", n)
	}
}

// The names of the protocol are these.
func TestNodeInJSON(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 11, 21, 5, 6, 4, 0, time.UTC)
	n := Node{
		ID: "a", Kind: Supervisor, Label: "b", PID: "<1>", State: "running", Since: at, Restarts: 1, Ends: 2, Last: "crash",
		Strategy: "one_for_all", Intensity: 3, Period: time.Second, Window: 4, Blocking: []string{"c"},
		Abandoned: []Abandoned{{"d", at}}, Mailbox: 5, Messages: 6, Dropped: 7, Links: 8, Status: "busy",
		Children: []Node{{ID: "e", Kind: Child, State: "undefined"}}, More: 9,
	}
	got, err := json.Marshal(n)
	want := `{"id":"a","kind":"supervisor","label":"b","pid":"\u003c1\u003e","state":"running","since":"2026-11-21T05:06:04Z",` +
		`"restarts":1,"ends":2,"last":"crash","strategy":"one_for_all","intensity":3,"period":1000000000,"window":4,` +
		`"blocking":["c"],"abandoned":[{"path":"d","since":"2026-11-21T05:06:04Z"}],"mailbox":5,"messages":6,"dropped":7,` +
		`"links":8,"status":"busy","children":[{"id":"e","kind":"child","state":"undefined"}],"more":9}`
	if err != nil || string(got) != want {
		t.Errorf("%v\n%s\nwant\n%s", err, got, want)
	}
}
