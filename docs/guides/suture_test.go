package guides_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"semper/supervise"
)

// mailer is a service that was written for suture, and stays as it is.
type mailer struct {
	tries int
	up    *sync.WaitGroup
}

func (m *mailer) Serve(ctx context.Context) error {
	m.tries++
	if m.tries == 1 {
		return errors.New("no connection")
	}
	m.up.Done()
	<-ctx.Done()
	return ctx.Err()
}

func serve(ctx context.Context, mail, web supervise.Service) error {
	app, err := supervise.Start(ctx, supervise.Flags{
		Name:      "app",
		Intensity: 5, // FailureThreshold
		Period:    30 * time.Second,
		GiveUp:    supervise.Persist, // suture never gives up; leave it out to escalate
	}, []supervise.ChildSpec{
		{ID: "mail", Start: supervise.ServeService(mail), Backoff: pause, Shutdown: 10 * time.Second},
		{ID: "web", Start: supervise.ServeService(web), Backoff: pause, Shutdown: 10 * time.Second},
	}, supervise.Options{Observe: report})
	if err != nil {
		return err
	}
	select {
	case <-ctx.Done(): // the end of ctx does not stop app: Stop does
	case <-app.Done(): // it gave up
	}
	return app.Stop(context.Background())
}

// pause is FailureBackoff: the first restart is at once, as in suture.
var pause = supervise.Backoff{Min: time.Second, Max: 15 * time.Second, Factor: 2, Jitter: 0.2}

// report is the EventHook. It runs in the supervisor's goroutine and must not block.
func report(e supervise.Event) { slog.Debug(e.String()) }

// errDone and errTree stand for suture.ErrDoNotRestart and suture.ErrTerminateSupervisorTree.
var errDone, errTree = errors.New("do not restart"), errors.New("terminate the tree")

// asInSuture gives the returns of a service the meaning that they have there. Its spec is Transient, and for errTree
// also Significant.
func asInSuture(serve func(context.Context) error) supervise.StartFunc {
	return supervise.Serve(func(ctx context.Context) error {
		err := serve(ctx)
		switch {
		case errors.Is(err, errDone), errors.Is(err, errTree), errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
			return nil // the end of a Transient child
		case err == nil:
			return errors.New("returned without an error") // suture restarts it
		}
		return err
	})
}

func Example_suture() {
	ctx, cancel := context.WithCancel(context.Background())
	var up sync.WaitGroup
	up.Add(2)
	go func() { up.Wait(); cancel() }() // both run, one of them at the second try
	mail, web := &mailer{up: &up}, &mailer{tries: 1, up: &up}
	fmt.Println(serve(ctx, mail, web), mail.tries, web.tries)
	// Output: <nil> 2 2
}

func Example_asInSuture() {
	ctx := context.Background()
	returns := []error{nil, errors.New("oh"), errTree}
	tries := 0
	s, err := supervise.Start(ctx, supervise.Flags{Intensity: 5, AutoShutdown: supervise.AnySignificant}, []supervise.ChildSpec{
		{ID: "all", Restart: supervise.Transient, Significant: true, Start: asInSuture(func(context.Context) error {
			tries++
			return returns[tries-1]
		})},
	}, supervise.Options{})
	if err != nil {
		fmt.Println(err)
		return
	}
	<-s.Done()
	fmt.Println(tries, errors.Is(s.Reason().Err, supervise.ErrAutoShutdown))
	// Output: 3 true
}
