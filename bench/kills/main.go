// Command kills ends the processes of a semper with SIGKILL at random moments, hundreds of times, while clients hand in requests that are done
// later, and then goes through the books: every request that was acknowledged has come to exactly one end, and its effect is there; once,
// where the app uses the key it is given; and no job has started while the queue was paused.
//
//	go run ./bench/kills                 500 kills
//	go run ./bench/kills -kills 50       fewer
//	go run ./bench/kills -seed 7         the same choices again
//
// It kills the store, control, the edge, the queue and instances, sometimes the keeper, and sometimes everything at once.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"time"
)

func main() {
	o := options{}
	flag.StringVar(&o.semper, "semper", "bin/semper", "the binary")
	flag.IntVar(&o.kills, "kills", 500, "how many processes are killed; everything at once counts as one")
	flag.Uint64Var(&o.seed, "seed", uint64(time.Now().UnixNano()), "of all choices")
	flag.IntVar(&o.clients, "clients", 8, "clients that hand in requests")
	flag.DurationVar(&o.think, "think", 40*time.Millisecond, "time between two requests of a client")
	flag.DurationVar(&o.gap, "gap", 1500*time.Millisecond, "the longest time between two kills")
	flag.BoolVar(&o.keep, "keep", false, "leave the data directory")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, o); err != nil {
		fmt.Fprintln(os.Stderr, "kills:", err)
		stop()
		os.Exit(1)
	}
}

type options struct {
	semper  string
	kills   int
	seed    uint64
	clients int
	think   time.Duration
	gap     time.Duration
	keep    bool
}

func say(format string, args ...any) {
	fmt.Printf(time.Now().Format(time.TimeOnly)+" "+format+"\n", args...)
}

// pass waits d, or until ctx ends.
func pass(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
