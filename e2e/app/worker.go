package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"semper/queue/client"
)

// worker asks for jobs and does them: each takes as long as its body says, leaves a line in EFFECTS with the release that did it, and
// fails one time in so many as FAILS says.
func worker(ctx context.Context) {
	c := client.New()
	defer c.Close()
	n, fails := 0, 0
	_, _ = fmt.Sscan(os.Getenv("FAILS"), &fails)
	err := client.Work(ctx, c, client.Options{}, func(ctx context.Context, j *client.Job) (client.Result, error) {
		n++
		fmt.Println("begins", j.ID)
		if fails > 0 && n%fails == 0 {
			return client.Result{}, errors.New("this release does not know how")
		}
		if d, err := time.ParseDuration(strings.TrimSpace(string(j.Body))); err == nil {
			select {
			case <-time.After(d):
			case <-ctx.Done():
				return client.Result{}, context.Cause(ctx)
			}
		}
		if err := effect(os.Getenv("SEMPER_RELEASE") + " " + j.ID); err != nil {
			return client.Result{}, err
		}
		return client.Result{ContentType: "text/plain", Body: []byte("done by " + os.Getenv("SEMPER_RELEASE"))}, nil
	})
	if err != nil {
		fmt.Println("cannot work:", err)
		os.Exit(1)
	}
}

// broker is a worker with a broker of its own: on SIGUSR1 it takes no more jobs, and it is busy while the file that BUSY names is
// there. It leaves a line in EFFECTS for what it is told.
func broker(ctx context.Context) {
	told := make(chan os.Signal, 4)
	signal.Notify(told, syscall.SIGUSR1)
	for {
		select {
		case <-told:
			_ = effect(os.Getenv("SEMPER_RELEASE") + " quiesced")
		case <-ctx.Done():
			_ = effect(os.Getenv("SEMPER_RELEASE") + " ended")
			return
		}
	}
}
