package guides_test

import (
	"context"
	"errors"
	"fmt"

	"semper/actor"
	"semper/supervise"
)

type (
	deposit struct{ amount int } // a cast
	draw    struct {             // a call
		amount int
		from   actor.From[int]
	}
)

var (
	accounts = actor.NewName[any]("accounts")
	errShort = errors.New("not enough money")
)

type account struct{ balance int }

func (a *account) Handle(_ *actor.Self[any], m any) error {
	switch m := m.(type) {
	case deposit: // handle_cast
		a.balance += m.amount
	case draw: // handle_call
		if m.amount > a.balance {
			m.from.Fail(errShort) // the caller's error: nobody crashes
			break
		}
		a.balance -= m.amount
		m.from.Reply(a.balance)
	default:
		return fmt.Errorf("no such message: %T", m) // a crash
	}
	return nil
}

// listen stands for a server's accept loop.
func listen(ctx context.Context) error {
	<-ctx.Done()
	return ctx.Err()
}

func Example_bank() {
	ctx := context.Background()

	bank, err := supervise.Start(ctx, supervise.Flags{Name: "bank", Strategy: supervise.RestForOne, Intensity: 3}, []supervise.ChildSpec{
		actor.Child("account", func() actor.Server[any] { return &account{} }, actor.Options{Name: accounts}),
		{ID: "http", Start: supervise.Serve(listen)},
	}, supervise.Options{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer bank.Stop(ctx)

	_ = accounts.Cast(deposit{100})
	left, err := actor.Call(ctx, accounts, func(from actor.From[int]) any { return draw{30, from} })
	fmt.Println(left, err)

	_, err = actor.Call(ctx, accounts, func(from actor.From[int]) any { return draw{300, from} })
	fmt.Println(err)
	// Output:
	// 70 <nil>
	// not enough money
}
