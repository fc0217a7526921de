package registry_test

import (
	"context"
	"errors"
	"fmt"

	"semper/actor"
	"semper/actor/registry"
)

// A room takes what is said in it, and tells how much it was.
type room struct{ said int }

type message struct {
	line  string
	count actor.From[int]
}

func (r *room) Handle(_ *actor.Self[message], m message) error {
	if m.line != "" {
		r.said++
	}
	m.count.Reply(r.said)
	return nil
}

func howMuch(from actor.From[int]) message { return message{count: from} }

func Example() {
	ctx := context.Background()
	rooms := registry.New[string, int](registry.Options{})
	lobby, err := actor.Start(ctx, actor.Server[message](&room{}), actor.Options{Name: rooms.As("lobby", 100)})
	if err != nil {
		fmt.Println(err)
		return
	}

	to := registry.Ref[message](rooms, "lobby")
	_ = to.Cast(message{line: "hello"})
	n, err := actor.Call(ctx, to, howMuch)
	fmt.Println(n, err)

	_, err = actor.Start(ctx, actor.Server[message](&room{}), actor.Options{Name: rooms.As("lobby", 1)})
	var taken *registry.AlreadyRegisteredError
	fmt.Println(errors.As(err, &taken) && taken.PID == lobby.PID())

	lobby.PID().Kill()
	_, err = actor.Call(ctx, to, howMuch)
	fmt.Println(errors.Is(err, actor.ErrNoProc))
	// Output:
	// 1 <nil>
	// true
	// true
}

// A subscriber registers itself under the topic it wants to hear of.
type subscriber struct {
	topics *registry.Registry[string, string]
	topic  string
	heard  chan<- string
}

func (s *subscriber) Init(self *actor.Self[string]) error {
	return s.topics.Register(self, s.topic, "")
}

func (s *subscriber) Handle(_ *actor.Self[string], news string) error {
	s.heard <- news
	return nil
}

// With duplicate keys a registry is where publishers find their subscribers.
func ExampleRegistry_Dispatch() {
	ctx := context.Background()
	topics := registry.New[string, string](registry.Options{Keys: registry.Duplicate})
	heard := make(chan string, 10)
	for _, topic := range []string{"weather", "weather", "sport"} {
		sub, err := actor.Start(ctx, actor.Server[string](&subscriber{topics, topic, heard}), actor.Options{})
		if err != nil {
			fmt.Println(err)
			return
		}
		defer sub.PID().Kill()
	}
	topics.Dispatch("weather", func(subscribers []registry.Entry[string, string]) {
		for _, e := range subscribers {
			if to, err := actor.RefOf[string](e.PID); err == nil {
				_ = to.Cast("rain")
			}
		}
	})
	fmt.Println(<-heard, <-heard)
	// Output: rain rain
}

// A device keeps its state where everyone can read it without asking.
type device struct {
	devices *registry.Registry[int, string]
}

func (d *device) Init(self *actor.Self[message]) error { return d.devices.Register(self, 7, "off") }

func (d *device) Handle(self *actor.Self[message], m message) error {
	_, _, err := d.devices.UpdateValue(self, 7, func(string) string { return m.line })
	m.count.Reply(0)
	return err
}

func ExampleRegistry_UpdateValue() {
	ctx := context.Background()
	devices := registry.New[int, string](registry.Options{})
	d, err := actor.Start(ctx, actor.Server[message](&device{devices}), actor.Options{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer d.PID().Kill()
	before, _ := devices.Find(7)
	_, _ = actor.Call(ctx, d, func(from actor.From[int]) message { return message{"on", from} })
	now, _ := devices.Find(7)
	fmt.Println(before.Value, now.Value)
	fmt.Println(len(devices.Select(func(e registry.Entry[int, string]) bool { return e.Value == "on" })))
	// Output:
	// off on
	// 1
}

// Of those who find that something has to be started, one does it.
func ExampleRegistry_Lock() {
	rooms := registry.New[string, int](registry.Options{})
	open := func(ctx context.Context, name string) (id actor.PID, err error) {
		err = rooms.Lock(ctx, name, func() error {
			if id, err = rooms.Whereis(name); err == nil {
				return nil
			}
			ref, err := actor.Start(ctx, actor.Server[message](&room{}), actor.Options{Name: rooms.As(name, 0)})
			id = ref.PID()
			return err
		})
		return id, err
	}
	first, _ := open(context.Background(), "lobby")
	second, err := open(context.Background(), "lobby")
	defer first.Kill()
	fmt.Println(first == second, err)
	// Output: true <nil>
}

func ExampleRegistry_Listen() {
	rooms := registry.New[string, int](registry.Options{})
	stop := rooms.Listen(func(e registry.Event[string, int]) { fmt.Println(e.Kind, e.Key, e.Value) })
	defer stop()
	lobby, err := actor.Start(context.Background(), actor.Server[message](&room{}), actor.Options{Name: rooms.As("lobby", 3)})
	if err != nil {
		fmt.Println(err)
		return
	}
	lobby.PID().Unregister(rooms.As("lobby", 3))
	lobby.PID().Kill()
	// Output:
	// registered lobby 3
	// unregistered lobby 3
}
