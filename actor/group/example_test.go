package group_test

import (
	"context"
	"fmt"

	"semper/actor"
	"semper/actor/group"
	"semper/supervise"
)

// A worker of a pool tells who it is.
type worker struct{ name string }

type job struct {
	who     actor.From[string]
	rename  string
	renamed chan<- string
}

func (w *worker) Handle(_ *actor.Self[job], j job) error {
	if j.rename != "" {
		w.name += j.rename
		j.renamed <- w.name
	}
	j.who.Reply(w.name)
	return nil
}

func who(from actor.From[string]) job { return job{who: from} }

// The children of a supervisor form a group; who has work gives it to the next of them, and never sees a restart.
func Example() {
	ctx := context.Background()
	workers := group.New[job]()
	var specs []supervise.ChildSpec
	for _, id := range []string{"ann", "bob", "cid"} {
		newWorker := func() actor.Server[job] { return &worker{name: id} }
		specs = append(specs, actor.Child(id, newWorker, actor.Options{Name: workers.As("pool")}))
	}
	s, err := supervise.Start(ctx, supervise.Flags{}, specs, supervise.Options{})
	if err != nil {
		fmt.Println(err)
		return
	}

	next := workers.RoundRobin("pool")
	for range 4 {
		name, err := actor.Call(ctx, next, who)
		fmt.Println(name, err)
	}
	fmt.Println(s.Stop(ctx), workers.Groups())
	// Output:
	// ann <nil>
	// bob <nil>
	// cid <nil>
	// ann <nil>
	// <nil> []
}

func ExampleScope_Broadcast() {
	ctx := context.Background()
	workers := group.New[job]()
	ann, _ := actor.Start(ctx, actor.Server[job](&worker{"ann"}), actor.Options{})
	defer ann.PID().Kill()
	if err := workers.Join("pool", ann, ann); err != nil { // joined twice, told twice
		fmt.Println(err)
		return
	}
	renamed := make(chan string, 2)
	n, err := workers.Broadcast(ctx, "pool", job{rename: "!", renamed: renamed})
	fmt.Println(n, err, <-renamed, <-renamed)
	// Output: 2 <nil> ann! ann!!
}

// A watcher keeps an eye on a group.
type watcher struct {
	workers *group.Scope[job]
	seen    chan<- string
}

func (w *watcher) Init(self *actor.Self[string]) error {
	_, members, err := w.workers.Monitor(self, "pool")
	w.seen <- fmt.Sprint(len(members), " at first")
	return err
}

func (w *watcher) Handle(*actor.Self[string], string) error { return nil }

func (w *watcher) Info(_ *actor.Self[string], info any) error {
	if c, ok := info.(group.Change[job]); ok {
		w.seen <- fmt.Sprint("by ", c.Times)
	}
	return nil
}

func ExampleScope_Monitor() {
	ctx := context.Background()
	workers := group.New[job]()
	ann, _ := actor.Start(ctx, actor.Server[job](&worker{"ann"}), actor.Options{Name: workers.As("pool")})
	seen := make(chan string, 3)
	w, err := actor.Start(ctx, actor.Server[string](&watcher{workers, seen}), actor.Options{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer w.PID().Kill()
	_ = workers.Join("pool", ann)
	ann.PID().Kill() // it has joined twice by now
	fmt.Println(<-seen)
	fmt.Println(<-seen)
	fmt.Println(<-seen)
	// Output:
	// 1 at first
	// by 1
	// by -2
}
