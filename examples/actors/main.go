// Command actors is a web shop whose carts are processes of package actor: one can break, and the others do not notice.
package main

import (
	"context"
	"errors"
	"log"
	"os"
	"os/signal"
	"syscall"
	"time"

	"semper/actor/observer"
	"semper/supervise"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()
	if err := run(ctx); err != nil {
		log.Fatal(err)
	}
}

// run keeps the shop open until ctx ends, or its supervisor gives up.
func run(ctx context.Context) error {
	s := &shop{}
	// observer.Run instead of supervise.Start: that is all it takes to be part of semper's tree.
	tree, err := observer.Run(context.Background(), supervise.Flags{Name: "shop", Strategy: supervise.RestForOne, Intensity: 3}, s.specs())
	if err != nil {
		return err
	}
	select {
	case <-tree.Done():
		return errors.New(tree.Reason().String())
	case <-ctx.Done():
	}
	limit, cancel := context.WithTimeout(context.Background(), 9*time.Second) // semper's stop timeout is 10 s
	defer cancel()
	return tree.Stop(limit)
}
