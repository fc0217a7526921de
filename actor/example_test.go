package actor_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"semper/actor"
)

// The messages of an account: a sealed interface, and a struct for each kind.
type (
	message interface{ isMessage() }
	deposit struct{ amount int }           // a cast
	balance struct{ from actor.From[int] } // a call
	draw    struct {                       // a call with an argument
		amount int
		from   actor.From[int]
	}
)

func (deposit) isMessage() {}
func (balance) isMessage() {}
func (draw) isMessage()    {}

// account needs no lock: its state is its own.
type account struct{ balance int }

var errShort = errors.New("not enough money")

func (a *account) Handle(_ *actor.Self[message], m message) error {
	switch m := m.(type) {
	case deposit:
		a.balance += m.amount
	case balance:
		m.from.Reply(a.balance)
	case draw:
		if m.amount > a.balance {
			m.from.Fail(errShort)
			break
		}
		a.balance -= m.amount
		m.from.Reply(a.balance)
	}
	return nil
}

// A server, with casts and calls.
func Example() {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	ref, err := actor.Start[message](ctx, &account{}, actor.Options{Label: "account"})
	if err != nil {
		fmt.Println(err)
		return
	}
	_ = ref.Cast(deposit{100})
	n, err := actor.Call(ctx, ref, func(from actor.From[int]) message { return draw{30, from} })
	fmt.Println(n, err)
	_, err = actor.Call(ctx, ref, func(from actor.From[int]) message { return draw{300, from} })
	fmt.Println(err)
	n, _ = actor.Call(ctx, ref, func(from actor.From[int]) message { return balance{from} })
	fmt.Println(n)

	_ = ref.PID().Shutdown(ctx)
	_, err = actor.Call(ctx, ref, func(from actor.From[int]) message { return balance{from} })
	fmt.Println(errors.Is(err, actor.ErrNoProc))
	// Output:
	// 70 <nil>
	// not enough money
	// 70
	// true
}

// queue answers a get when something has been put, which may be long after the get.
type queue struct {
	words   []string
	waiting []actor.From[string]
}

type (
	put string
	get struct{ actor.From[string] }
)

func (q *queue) Handle(_ *actor.Self[any], m any) error {
	switch m := m.(type) {
	case put:
		q.words = append(q.words, string(m))
	case get:
		q.waiting = append(q.waiting, m.From)
	}
	for len(q.words) > 0 && len(q.waiting) > 0 {
		if q.waiting[0].Reply(q.words[0]) { // false: the caller has left, and somebody else gets the word
			q.words = q.words[1:]
		}
		q.waiting = q.waiting[1:]
	}
	return nil
}

// A From is answered when the time has come, by whoever has it then. The process goes on meanwhile.
func ExampleFrom() {
	ctx := context.Background()
	ref, _ := actor.Start[any](ctx, &queue{}, actor.Options{})
	time.AfterFunc(time.Millisecond, func() { _ = ref.Cast(put("hello")) })
	word, err := actor.Call(ctx, ref, func(from actor.From[string]) any { return get{from} })
	fmt.Println(word, err)
	ref.PID().Kill()
	// Output: hello <nil>
}

// The end of the caller's context ends its waiting; the late reply vanishes.
func ExampleCall_deadline() {
	ref, _ := actor.Start[any](context.Background(), &queue{}, actor.Options{})
	ctx, cancel := context.WithTimeout(context.Background(), time.Millisecond)
	defer cancel()
	var late actor.From[string]
	_, err := actor.Call(ctx, ref, func(from actor.From[string]) any {
		late = from
		return get{from}
	})
	fmt.Println(errors.Is(err, context.DeadlineExceeded))
	fmt.Println("somebody had the reply:", late.Reply("too late"))
	ref.PID().Kill()
	// Output:
	// true
	// somebody had the reply: false
}

// cache acknowledges its start at once, and loads before its first message.
type cache struct{ words []string }

func (c *cache) Init(self *actor.Self[chan<- int]) error {
	self.Continue("load")
	return nil
}

func (c *cache) Continue(*actor.Self[chan<- int], any) error {
	c.words = []string{"slow", "to", "load"}
	return nil
}

func (c *cache) Handle(_ *actor.Self[chan<- int], m chan<- int) error {
	m <- len(c.words)
	return nil
}

// Continue is for what need not be done before the start is acknowledged, and must be done before any message.
func ExampleSelf_Continue() {
	ref, _ := actor.Start[chan<- int](context.Background(), &cache{}, actor.Options{})
	size := make(chan int)
	_ = ref.Cast(size)
	fmt.Println(<-size)
	ref.PID().Kill()
	// Output: 3
}

// session ends when nobody has wanted anything from it for a while.
type session struct{}

func (session) Handle(self *actor.Self[string], m string) error {
	fmt.Println("request", m)
	self.Timeout(10 * time.Millisecond)
	return nil
}

func (session) Info(_ *actor.Self[string], info any) error {
	if _, quiet := info.(actor.Timeout); quiet {
		return actor.Stop(actor.Reason{})
	}
	return nil
}

func ExampleSelf_Timeout() {
	ref, _ := actor.Start[string](context.Background(), session{}, actor.Options{})
	_ = ref.Cast("one")
	_ = ref.Cast("two")
	<-ref.PID().Done()
	fmt.Println("ended:", ref.PID().Reason())
	// Output:
	// request one
	// request two
	// ended: normal
}

// clock sends itself a message for each tick.
type clock struct{ left int }

func (c *clock) Init(self *actor.Self[tick]) error {
	self.After(time.Millisecond, tick{})
	return nil
}

func (c *clock) Handle(self *actor.Self[tick], _ tick) error {
	fmt.Println("tick")
	if c.left--; c.left == 0 {
		return actor.Stop(actor.Reason{})
	}
	self.After(time.Millisecond, tick{})
	return nil
}

type tick struct{}

func ExampleSelf_After() {
	ref, _ := actor.Start[tick](context.Background(), &clock{left: 2}, actor.Options{})
	<-ref.PID().Done()
	// Output:
	// tick
	// tick
}

// file is closed by its Terminate, whatever it ends for.
type file struct{}

func (file) Handle(_ *actor.Self[string], line string) error {
	if line == "" {
		return errors.New("empty line")
	}
	fmt.Println("write", line)
	return nil
}

func (file) Terminate(_ context.Context, _ *actor.Self[string], r actor.Reason) {
	fmt.Println("close, because of", r)
}

func ExampleTerminator() {
	ctx := actor.WithReporter(context.Background(), func(actor.CrashReport) {})
	ref, _ := actor.Start[string](ctx, file{}, actor.Options{})
	_ = ref.Cast("a")
	_ = ref.Cast("")
	<-ref.PID().Done()
	// Output:
	// write a
	// close, because of crash: empty line
}
