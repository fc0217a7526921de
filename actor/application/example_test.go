package application_test

import (
	"context"
	"errors"
	"fmt"
	"log"

	"semper/actor/application"
	"semper/supervise"
)

// tree is a StartFunc of a supervision tree that has nothing to do.
func tree(ctx context.Context) (supervise.Child, error) {
	return supervise.Start(ctx, supervise.Flags{}, nil, supervise.Options{})
}

func say(what string) func(context.Context) error {
	return func(context.Context) error { fmt.Println(what); return nil }
}

// Applications start after those they depend on, and stop before them.
func Example() {
	ctx := context.Background()
	c, err := application.New(application.Options{},
		application.Application{Name: "web", Dependencies: []string{"db"}, Start: tree, PrepStop: say("web: no more requests"), Stop: say("web: gone")},
		application.Application{Name: "db", Start: tree, Stop: say("db: gone")},
	)
	if err != nil {
		log.Fatal(err)
	}
	started, err := c.EnsureAllStarted(ctx, "web")
	fmt.Println(started, err)
	for _, a := range c.Which() {
		fmt.Println(a.Name, a.State)
	}
	fmt.Println(c.StopAll(ctx))
	// Output:
	// [db web] <nil>
	// db running
	// web running
	// web: no more requests
	// web: gone
	// db: gone
	// <nil>
}

// The whole of a main function. Here its context ends it; in a program, SIGINT or SIGTERM do.
func ExampleMain() {
	ctx, cancel := context.WithCancel(context.Background())
	web := application.Application{Name: "web", Start: tree, Stop: say("web: gone")}
	web.Phases = []application.Phase{{Name: "listen", Run: func(context.Context) error {
		fmt.Println("web: ready")
		cancel()
		return nil
	}}}
	if err := application.Main(ctx, web); err != nil {
		log.Fatal(err)
	}
	// Output:
	// web: ready
	// web: gone
}

// What exit code an end deserves is up to the program.
func ExampleProgram() {
	job := application.Application{Name: "job", Start: func(ctx context.Context) (supervise.Child, error) {
		s, err := supervise.Start(ctx, supervise.Flags{}, nil, supervise.Options{})
		if err == nil {
			s.Shutdown() // a tree that ends by itself
		}
		return s, err
	}}
	err := application.Program{StopWithin: application.DefaultStop}.Run(context.Background(), job)
	var end *application.TerminatedError
	if errors.As(err, &end) {
		fmt.Println("exit code 3 for", end.Name, end.Type, end.Reason)
	}
	// Output: exit code 3 for job permanent shutdown
}

// No application enters a phase before all have gone through the one before.
func ExamplePhase() {
	phase := func(name, does string) application.Phase { return application.Phase{Name: name, Run: say(does)} }
	cache := application.Application{Name: "cache", Start: tree, Phases: []application.Phase{phase("warm", "cache: filled")}}
	web := application.Application{Name: "web", Dependencies: []string{"cache"}, Start: tree, Phases: []application.Phase{
		phase("warm", "web: templates parsed"), phase("listen", "web: listening"),
	}}
	ctx := context.Background()
	c, _ := application.New(application.Options{}, web, cache)
	_, err := c.EnsureAllStarted(ctx, "web")
	fmt.Println(err)
	_ = c.StopAll(ctx)
	// Output:
	// cache: filled
	// web: templates parsed
	// web: listening
	// <nil>
}

var port = application.NewKey("port", 8080)

// Each application has settings of its own, which the program can override.
func ExampleKey() {
	start := func(ctx context.Context) (supervise.Child, error) {
		_, app := application.Of(ctx)
		fmt.Println(app, "listens on", port.Get(ctx))
		return tree(ctx)
	}
	ctx := context.Background()
	c, err := application.New(
		application.Options{Env: map[string][]application.Setting{"admin": {port.To(9999)}}},
		application.Application{Name: "admin", Start: start, Env: []application.Setting{port.To(9000)}},
		application.Application{Name: "api", Start: start},
	)
	if err != nil {
		log.Fatal(err)
	}
	_, _ = c.EnsureAllStarted(ctx, "admin", "api")
	_ = c.StopAll(ctx)
	// Output:
	// admin listens on 9999
	// api listens on 8080
}

// A name that nobody knows, and applications that wait for each other, are found before anything is started.
func ExampleController_EnsureAllStarted() {
	c, _ := application.New(application.Options{},
		application.Application{Name: "web", Dependencies: []string{"databas"}},
		application.Application{Name: "database"},
		application.Application{Name: "hen", Dependencies: []string{"egg"}},
		application.Application{Name: "egg", Dependencies: []string{"hen"}},
	)
	_, err := c.EnsureAllStarted(context.Background(), "web")
	fmt.Println(err)
	_, err = c.EnsureAllStarted(context.Background(), "hen")
	fmt.Println(err)
	// Output:
	// application web depends on databas, which is not loaded: did you mean database?
	// applications want each other first: hen → egg → hen; take one dependency away
}
