// Command app does the jobs of bench/kills. It leaves traces of each attempt outside of semper: lines of the job, its key and the
// attempt, in the file BEGUN at its beginning and in the file EFFECTS as its effect; and, once per key, a file in the directory ONCE, as a handler does that must not act twice. One in some is
// refused at its first attempt, and one takes its time.
package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "app:", err)
		os.Exit(1)
	}
}

func run() error {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	l, err := net.Listen("tcp", "127.0.0.1:"+os.Getenv("PORT"))
	if err != nil {
		return err
	}
	m := http.NewServeMux()
	m.HandleFunc("GET /healthz", func(http.ResponseWriter, *http.Request) {})
	m.HandleFunc("POST /jobs", job)
	s := &http.Server{Handler: m, ReadHeaderTimeout: 10 * time.Second}
	done := make(chan error, 1)
	go func() {
		<-ctx.Done()
		done <- s.Shutdown(context.Background())
	}()
	if err := s.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return <-done
}

func job(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	id, key, attempt := r.Header.Get("Semper-Job-Id"), r.Header.Get("Idempotency-Key"), r.Header.Get("Semper-Attempt")
	if err := trace(os.Getenv("BEGUN"), id, key, attempt); err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	sum := sha256.Sum256([]byte(key))
	if sum[0]%16 == 0 && attempt == "1" {
		http.Error(w, "not yet", http.StatusServiceUnavailable)
		return
	}
	if sum[0]%16 == 1 {
		time.Sleep(time.Duration(sum[1]) * time.Millisecond) // work
	}
	if err := effect(id, key, attempt, hex.EncodeToString(sum[:])); err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.WriteHeader(http.StatusCreated)
	_, _ = w.Write(body)
}

// effect is what the attempt does. Each step is one write, whoever else writes.
func effect(id, key, attempt, name string) error {
	once, err := os.OpenFile(filepath.Join(os.Getenv("ONCE"), name), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err == nil {
		err = once.Close()
	}
	if err != nil && !errors.Is(err, os.ErrExist) {
		return err
	}
	return trace(os.Getenv("EFFECTS"), id, key, attempt)
}

// trace leaves a line about the attempt.
func trace(path, id, key, attempt string) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(f, "%s %s %s\n", id, key, attempt)
	return errors.Join(err, f.Close())
}
