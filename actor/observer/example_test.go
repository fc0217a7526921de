package observer_test

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"

	"semper/actor"
	"semper/actor/observer"
	"semper/supervise"
)

// cart is a Server that counts, and breaks when asked to.
type cart struct{ items int }

func (c *cart) Handle(_ *actor.Self[string], item string) error {
	if item == "glass" {
		return fmt.Errorf("the %s broke", item)
	}
	c.items++
	return nil
}

func carts(ids ...string) (specs []supervise.ChildSpec) {
	for _, id := range ids {
		specs = append(specs, actor.Child(id, func() actor.Server[string] { return &cart{} }, actor.Options{}))
	}
	return specs
}

// quietly keeps the crash reports of the examples out of the log.
var quietly = actor.WithReporter(context.Background(), func(actor.CrashReport) {})

// One call instead of supervise.Start shows the tree to semper, where there is one.
func ExampleRun() {
	s, err := observer.Run(quietly, supervise.Flags{Name: "shop", Intensity: 3}, carts("eu", "us"))
	if err != nil {
		fmt.Println(err)
		return
	}
	defer s.Stop(context.Background())
	for _, child := range observer.Tree(s).Children {
		fmt.Println(child.ID, child.Kind, child.State)
	}
	// Output:
	// observer service running
	// eu actor running
	// us actor running
}

func ExamplePrint() {
	n := observer.Node{
		ID: "shop", Kind: observer.Supervisor, State: "running", Strategy: "one_for_one", Intensity: 3, Period: 5 * time.Second, Window: 1,
		Children: []observer.Node{
			{ID: "eu", Kind: observer.Actor, PID: "<17>", State: "running", Status: actor.StatusBusy, Mailbox: 3, Messages: 812},
			{ID: "us", Kind: observer.Actor, PID: "<21>", State: "running", Status: actor.StatusIdle, Restarts: 1, Last: "crash: the glass broke"},
		},
	}
	_ = observer.Print(os.Stdout, n)
	// Output:
	// shop  supervisor one_for_one, 1 of 3 restarts in 5s
	// ├─ eu <17>  busy, 3 waiting, 812 handled
	// └─ us <21>  idle, 1 restart (crash: the glass broke)
}

func ExampleProcess() {
	ref, err := actor.Start[string](quietly, &cart{items: 2}, actor.Options{Label: "eu"})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer ref.PID().Kill()
	p, err := observer.Process(context.Background(), ref.PID())
	fmt.Println(p.Label, p.Status, p.State, err)
	// Output: eu idle &{items:2} <nil>
}

// semper's half: who listens on the socket asks, and is told of crashes.
func ExampleAccept() {
	dir, err := os.MkdirTemp("", "tree")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	l, err := net.Listen("unix", filepath.Join(dir, "socket"))
	if err != nil {
		fmt.Println(err)
		return
	}
	defer l.Close()

	// The program, which elsewhere finds the socket in SEMPER_TREE.
	up := observer.NewUplink(observer.Options{Socket: l.Addr().String(), Program: "shop"})
	s, err := up.Run(quietly, supervise.Flags{Name: "shop", Intensity: 3}, carts("eu"), supervise.Options{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer s.Stop(context.Background())

	c, err := l.Accept()
	if err != nil {
		fmt.Println(err)
		return
	}
	crashes := make(chan observer.Crash, 1)
	conn, err := observer.Accept(c, func(c observer.Crash) { crashes <- c })
	if err != nil {
		fmt.Println(err)
		return
	}
	defer conn.Close()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	tree, err := conn.Tree(ctx)
	fmt.Println(conn.Hello().Program, tree.Strategy, len(tree.Children), err)

	for _, i := range s.Children() {
		if i.ID == "eu" {
			ref, _ := actor.RefOf[string](i.Child.(interface{ PID() actor.PID }).PID())
			_ = ref.Cast("glass")
		}
	}
	crash := <-crashes
	fmt.Println(crash.Path, crash.Reason, strings.HasPrefix(crash.PID, "<"))
	// Output:
	// shop one_for_one 2 <nil>
	// shop/eu crash: the glass broke true
}
