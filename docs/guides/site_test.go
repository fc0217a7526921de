package guides_test

import (
	"context"
	"fmt"

	"semper/actor"
	"semper/actor/observer"
	"semper/supervise"
)

type visit struct{ page string } // sent and forgotten
type visits struct {             // a question, with the way back for the answer
	page string
	from actor.From[int]
}

type counter struct{ pages map[string]int } // touched by its process alone: no lock

func (c *counter) Handle(_ *actor.Self[any], m any) error {
	switch m := m.(type) {
	case visit:
		c.pages[m.page]++
	case visits:
		m.from.Reply(c.pages[m.page])
	}
	return nil
}

func newCounter() actor.Server[any] { return &counter{pages: map[string]int{}} }

var hits = actor.NewName[any]("hits")

func start(ctx context.Context) (*supervise.Supervisor, error) {
	return observer.Run(ctx, supervise.Flags{Name: "site", Intensity: 3}, []supervise.ChildSpec{
		actor.Child("hits", newCounter, actor.Options{Name: hits}),
		{ID: "http", Start: supervise.Serve(listen)},
	})
}

func Example_site() {
	ctx := context.Background()
	site, err := start(ctx)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer site.Stop(ctx)

	_ = hits.Cast(visit{"/"}) // from any goroutine
	n, err := actor.Call(ctx, hits, func(from actor.From[int]) any { return visits{"/", from} })
	fmt.Println(n, err)
	for _, child := range site.Children() {
		fmt.Println(child.ID, child.State, child.Restarts)
	}
	// Output:
	// 1 <nil>
	// observer running 0
	// hits running 0
	// http running 0
}
