package agent_test

import (
	"context"
	"fmt"
	"log"
	"maps"

	"semper/actor"
	"semper/actor/agent"
	"semper/supervise"
)

func Example() {
	ctx := context.Background()
	hits, err := agent.Start(ctx, func() map[string]int { return map[string]int{} }, actor.Options{})
	if err != nil {
		log.Fatal(err)
	}
	count := func(m map[string]int) map[string]int { m["/"]++; return m }
	_ = agent.Update(ctx, hits, count)
	_ = agent.Cast(hits, count) // does not wait

	n, _ := agent.Get(ctx, hits, func(m map[string]int) int { return m["/"] })
	fmt.Println(n)
	_ = agent.Stop(ctx, hits, actor.Reason{})
	// Output: 2
}

// What is read and replaced at once cannot be changed by others in between.
func ExampleGetAndUpdate() {
	ctx := context.Background()
	ids, _ := agent.Start(ctx, func() int { return 100 }, actor.Options{})
	next := func(id int) (int, int) { return id, id + 1 }
	a, _ := agent.GetAndUpdate(ctx, ids, next)
	b, _ := agent.GetAndUpdate(ctx, ids, next)
	fmt.Println(a, b)
	_ = agent.Stop(ctx, ids, actor.Reason{})
	// Output: 100 101
}

// A map that leaves the agent is a copy: the next function changes the one inside.
func ExampleGet() {
	ctx := context.Background()
	colours, _ := agent.Start(ctx, func() map[string]string { return map[string]string{"sky": "blue"} }, actor.Options{})
	seen, _ := agent.Get(ctx, colours, maps.Clone[map[string]string])
	_ = agent.Update(ctx, colours, func(m map[string]string) map[string]string { m["sky"] = "grey"; return m })
	fmt.Println(seen["sky"])
	_ = agent.Stop(ctx, colours, actor.Reason{})
	// Output: blue
}

var settings = agent.NewName[map[string]string]("settings")

// A supervised agent with a name is found again after a restart, and begins anew.
func ExampleChild() {
	ctx := actor.WithReporter(context.Background(), func(c actor.CrashReport) { fmt.Println(c.Reason.Err) })
	defaults := func() map[string]string { return map[string]string{"lang": "en"} }
	started := make(chan struct{}, 2)
	top, err := supervise.Start(ctx, supervise.Flags{Intensity: 3},
		[]supervise.ChildSpec{agent.Child("settings", defaults, actor.Options{Name: settings})},
		supervise.Options{Observe: func(e supervise.Event) {
			if e.Kind == supervise.Started {
				started <- struct{}{}
			}
		}})
	if err != nil {
		log.Fatal(err)
	}
	<-started
	_ = agent.Update(ctx, settings, func(m map[string]string) map[string]string { m["lang"] = "fr"; return m })
	_ = agent.Cast(settings, func(map[string]string) map[string]string { panic("out of range") })
	<-started // again
	lang, _ := agent.Get(ctx, settings, func(m map[string]string) string { return m["lang"] })
	fmt.Println(lang)
	_ = top.Stop(ctx)
	// Output:
	// panic: out of range
	// en
}
