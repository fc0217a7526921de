package actor_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"

	"semper/actor"
	"semper/supervise"
)

// worker crashes of every message.
type worker struct{}

func (worker) Handle(_ *actor.Self[string], m string) error { return errors.New(m) }

// boss starts a worker that it is linked to, and gets the end of it as a message.
type boss struct{ worker actor.Ref[string] }

func (b *boss) Init(self *actor.Self[string]) (err error) {
	b.worker, err = actor.Start[string](self, worker{}, actor.Options{Label: "worker", Link: true})
	return err
}

func (b *boss) Handle(_ *actor.Self[string], m string) error { return b.worker.Cast(m) }

func (b *boss) Info(_ *actor.Self[string], info any) error {
	if exit, ok := info.(actor.Exit); ok {
		fmt.Println("the worker ended:", exit.Reason, exit.From == b.worker.PID())
	}
	return actor.Stop(actor.Reason{})
}

// Linked processes end together, unless one traps exits.
func ExampleSelf_TrapExit() {
	ctx := actor.WithReporter(context.Background(), func(actor.CrashReport) {})
	ref, _ := actor.Start[string](ctx, &boss{}, actor.Options{TrapExit: true})
	_ = ref.Cast("out of paper")
	<-ref.PID().Done()
	// Output: the worker ended: crash: out of paper true
}

// owner keeps something for each client, until the client ends.
type owner struct{ names map[actor.MonitorRef]string }

type client struct {
	name string
	id   actor.PID
	from actor.From[bool]
}

func (o *owner) Handle(self *actor.Self[client], c client) error {
	o.names[self.Monitor(c.id)] = c.name
	c.from.Reply(true)
	return nil
}

func (o *owner) Info(_ *actor.Self[client], info any) error {
	if down, ok := info.(actor.Down); ok {
		fmt.Printf("%s is gone (%v): free what it had\n", o.names[down.Ref], down.Reason)
		delete(o.names, down.Ref)
	}
	return actor.Stop(actor.Reason{})
}

// A monitor tells of the end of another process and ties neither to the other.
func ExampleSelf_Monitor() {
	ctx := context.Background()
	ref, _ := actor.Start[client](ctx, &owner{map[actor.MonitorRef]string{}}, actor.Options{})
	other, _ := actor.Start[string](ctx, worker{}, actor.Options{})
	_, _ = actor.Call(ctx, ref, func(from actor.From[bool]) client { return client{"ada", other.PID(), from} })
	other.PID().Kill()
	<-ref.PID().Done()
	// Output: ada is gone (killed): free what it had
}

var accounts = actor.NewName[message]("accounts")

// What is supervised is found by its name, whichever incarnation it is.
func ExampleName() {
	ctx := actor.WithReporter(context.Background(), func(c actor.CrashReport) { fmt.Println("crash:", c.Reason) })
	s, err := supervise.Start(ctx, supervise.Flags{Intensity: 1}, []supervise.ChildSpec{
		actor.Child("accounts", func() actor.Server[message] { return &account{balance: 10} }, actor.Options{Name: accounts}),
	}, supervise.Options{})
	if err != nil {
		fmt.Println(err)
		return
	}
	first, _ := accounts.Resolve() // a Ref is one incarnation
	first.PID().Exit(actor.Reason{Kind: actor.Crash, Err: errors.New("somebody pulled the plug")})
	<-first.PID().Done()

	_, err = actor.Call(ctx, first, func(from actor.From[int]) message { return balance{from} })
	fmt.Println("its own Ref:", errors.Is(err, actor.ErrNoProc))
	n := 0
	for n == 0 { // the next incarnation is on its way
		n, _ = actor.Call(ctx, accounts, func(from actor.From[int]) message { return balance{from} })
	}
	fmt.Println("its name:", n)
	_ = s.Stop(ctx)
	// Output:
	// its own Ref: true
	// its name: 10
}

// A bounded mailbox says no when it is full, before the work piles up.
func ExampleMailbox() {
	ctx := context.Background()
	ref, _ := actor.Start[message](ctx, &account{}, actor.Options{
		Mailbox: actor.Mailbox{Limit: 2, Overflow: actor.Reject},
	})
	_ = ref.PID().Suspend(ctx) // so that it does not keep up
	for range 3 {
		fmt.Println(ref.Cast(deposit{1}))
	}
	fmt.Println(ref.PID().Info().Mailbox, "wait")
	ref.PID().Kill()
	// Output:
	// <nil>
	// <nil>
	// mailbox full: try again later or shed the work
	// 2 wait
}

// A running process can be held still, looked at and mended.
func ExamplePID_State() {
	ctx := context.Background()
	ref, _ := actor.Start[message](ctx, &account{balance: 7}, actor.Options{})
	id := ref.PID()
	_ = id.Suspend(ctx)
	_ = ref.Cast(deposit{100})
	fmt.Println(id.Info().Status, id.Info().Mailbox)
	_ = id.State(ctx, func(server any) { fmt.Printf("%+v\n", server) })
	_ = id.ReplaceState(ctx, func(server any) any { return &account{balance: server.(*account).balance + 1} })
	_ = id.Resume(ctx)
	n, _ := actor.Call(ctx, ref, func(from actor.From[int]) message { return balance{from} })
	fmt.Println(n)
	id.Kill()
	// Output:
	// suspended 1
	// &{balance:7}
	// 108
}

// login must not show the password it is given, nor the ones it knows.
type login struct{ passwords map[string]string }

type attempt struct{ user, password string }

func (l *login) Handle(_ *actor.Self[attempt], m attempt) error {
	if l.passwords[m.user] != m.password {
		panic("somebody knocks")
	}
	return nil
}

func (l *login) Redact(what any) any {
	switch what := what.(type) {
	case *login:
		return fmt.Sprintf("login of %d users", len(l.passwords))
	case attempt:
		what.password = "***"
		return what
	}
	return what
}

// A Redactor decides what of the state and of the messages is shown, in crash reports and wherever else.
func ExampleRedactor() {
	ctx := actor.WithReporter(context.Background(), func(c actor.CrashReport) {
		fmt.Println(c.Label, "ended for", c.Reason)
		fmt.Println("it was handling", c.LastMessage, "as", c.State)
		fmt.Println("the stack is there:", strings.Contains(c.Stack, "Handle"))
	})
	ref, _ := actor.Start[attempt](ctx, &login{map[string]string{"ada": "1815"}}, actor.Options{Label: "login"})
	_ = ref.Cast(attempt{"ada", "1852"})
	<-ref.PID().Done()
	// Output:
	// login ended for crash: panic: somebody knocks
	// it was handling {user:ada password:***} as login of 1 users
	// the stack is there: true
}

// Crash reports go to log/slog when nobody else takes them.
func ExampleWithReporter() {
	text := slog.New(slog.NewTextHandler(os.Stdout, &slog.HandlerOptions{ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
		if a.Key == slog.TimeKey {
			return slog.Attr{}
		}
		return a
	}}))
	ctx := actor.WithReporter(context.Background(), func(c actor.CrashReport) {
		text.Error("crash", "process", c.Label, "reason", c.Reason, "message", c.LastMessage)
	})
	ref, _ := actor.Start[string](ctx, worker{}, actor.Options{Label: "worker"})
	_ = ref.Cast("no paper")
	<-ref.PID().Done()
	// Output: level=ERROR msg=crash process=worker reason="crash: no paper" message="no paper"
}
