package guides_test

import (
	"context"
	"errors"
	"fmt"

	"semper/actor"
	"semper/supervise"
)

type message interface{ isMessage() } // of an account, and of nothing else

type (
	deposit struct{ amount int } // a cast
	draw    struct {             // a call
		amount int
		from   actor.From[int]
	}
)

func (deposit) isMessage() {}
func (draw) isMessage()    {}

var (
	accounts = actor.NewName[message]("accounts")
	errShort = errors.New("not enough money")
)

type account struct{ balance int }

func (a *account) Handle(_ *actor.Self[message], m message) error {
	switch m := m.(type) {
	case deposit: // handle_cast
		if m.amount < 0 {
			return fmt.Errorf("a deposit of %d", m.amount) // a crash: this cannot be
		}
		a.balance += m.amount
	case draw: // handle_call
		if m.amount > a.balance {
			m.from.Fail(errShort) // the caller's error: nobody crashes
			break
		}
		a.balance -= m.amount
		m.from.Reply(a.balance)
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
		actor.Child("account", func() actor.Server[message] { return &account{} }, actor.Options{Name: accounts}),
		{ID: "http", Start: supervise.Serve(listen)},
	}, supervise.Options{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer bank.Stop(ctx)

	_ = accounts.Cast(deposit{100})
	left, err := actor.Call(ctx, accounts, func(from actor.From[int]) message { return draw{30, from} })
	fmt.Println(left, err)

	_, err = actor.Call(ctx, accounts, func(from actor.From[int]) message { return draw{300, from} })
	fmt.Println(err)
	// Output:
	// 70 <nil>
	// not enough money
}
