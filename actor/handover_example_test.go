package actor_test

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"

	"semper/actor"
	"semper/supervise"
)

// odometer counts, over any number of programs.
type odometer struct{ km int }

type (
	drive struct{ km int }
	read  struct{ reply actor.From[int] }
)

func (o *odometer) Handle(_ *actor.Self[any], m any) error {
	switch m := m.(type) {
	case drive:
		o.km += m.km
	case read:
		m.reply.Reply(o.km)
	}
	return nil
}

func (o *odometer) Export() (int, []byte, error) {
	return 2, strconv.AppendInt(nil, int64(o.km), 10), nil
}

func (o *odometer) CodeChange(from int, state []byte) (err error) {
	if from < 2 {
		return fmt.Errorf("version %d counted miles", from)
	}
	o.km, err = strconv.Atoi(string(state))
	return err
}

func ExampleHandOver() {
	name := actor.NewName[any]("odometer")
	tree := func(ctx context.Context) *supervise.Supervisor {
		s, err := supervise.Start(ctx, supervise.Flags{Name: "car"}, []supervise.ChildSpec{
			actor.Child("odometer", func() actor.Server[any] { return &odometer{} }, actor.Options{Name: name}),
		}, supervise.Options{})
		if err != nil {
			panic(err)
		}
		return s
	}
	km := func() int {
		n, err := actor.Call(context.Background(), name, func(f actor.From[int]) any { return read{f} })
		if err != nil {
			panic(err)
		}
		return n
	}

	old := tree(context.Background())
	_ = name.Cast(drive{42})
	fmt.Println("before:", km())

	snapshot, err := actor.HandOver(context.Background(), old)
	if err != nil {
		fmt.Println("everything goes on as it was:", err)
		return
	}
	_ = old.Stop(context.Background())
	text, _ := json.Marshal(snapshot) // through a pipe, a file, or the environment of the next program

	var received actor.Snapshot
	if err := json.Unmarshal(text, &received); err != nil {
		panic(err)
	}
	next := tree(actor.WithHandOver(context.Background(), received))
	fmt.Println("after:", km(), "left:", received.Left())
	_ = next.Stop(context.Background())
	// Output:
	// before: 42
	// after: 42 left: []
}
