package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"regexp"
	"sync/atomic"
	"time"

	"semper/actor"
	"semper/actor/registry"
	"semper/supervise"
)

// A shop is what the handlers need: the supervisor of the carts there is now.
type shop struct {
	carts atomic.Pointer[supervise.Dynamic]
}

// specs are the tree: the supervisor of the carts first, then what needs it.
func (s *shop) specs() []supervise.ChildSpec {
	return []supervise.ChildSpec{
		{ID: "carts", Supervisor: true, Start: func(ctx context.Context) (supervise.Child, error) {
			d, err := supervise.StartDynamic(ctx, supervise.DynamicFlags{
				Name: "carts", Intensity: 20, Period: 10 * time.Second, MaxChildren: 10_000,
			}, supervise.Options{})
			if err != nil {
				return nil, err
			}
			s.carts.Store(d)
			return d, nil
		}},
		{ID: "http", Start: supervise.Serve(s.serve), Shutdown: 8 * time.Second},
	}
}

// serve answers until ctx ends, then finishes the requests it has.
func (s *shop) serve(ctx context.Context) error {
	l, err := listen()
	if err != nil {
		return err
	}
	server := &http.Server{Handler: s.handler(), ReadHeaderTimeout: 10 * time.Second}
	served := make(chan error, 1)
	go func() { served <- server.Serve(l) }()
	select {
	case err := <-served:
		return err
	case <-ctx.Done():
	}
	err = server.Shutdown(context.WithoutCancel(ctx)) // the child's shutdown time is the bound
	<-served
	return err
}

// listen opens the address semper chose: SOCKET is a path, PORT a port of the loopback.
func listen() (net.Listener, error) {
	if path := os.Getenv("SOCKET"); path != "" {
		return net.Listen("unix", path)
	}
	port := os.Getenv("PORT")
	if port == "" {
		port = "8000"
	}
	return net.Listen("tcp", "127.0.0.1:"+port)
}

func (s *shop) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /actors/healthz", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") })
	mux.HandleFunc("GET /actors", func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintf(w, "a shop with %d carts\nrelease %s, instance %s, pid %d\n",
			s.carts.Load().Count().Active, os.Getenv("SEMPER_RELEASE"), os.Getenv("SEMPER_INSTANCE"), os.Getpid())
	})
	mux.HandleFunc("GET /actors/{customer}", s.ask(func(ctx context.Context, to target, _ *http.Request) (any, error) {
		return actor.Call(ctx, to, func(from actor.From[map[string]int]) message { return list{from} })
	}))
	mux.HandleFunc("POST /actors/{customer}", s.ask(func(ctx context.Context, to target, r *http.Request) (any, error) {
		article := r.FormValue("article")
		if !name.MatchString(article) {
			return nil, errName
		}
		return actor.Call(ctx, to, func(from actor.From[int]) message { return add{article, from} })
	}))
	mux.HandleFunc("POST /actors/{customer}/crash", s.ask(func(ctx context.Context, to target, _ *http.Request) (any, error) {
		return actor.Call(ctx, to, func(from actor.From[struct{}]) message { return drop{2, from} })
	}))
	return mux
}

// target is the address of a customer's cart.
type target = registry.Address[message, string, struct{}]

var (
	name    = regexp.MustCompile(`^[a-z0-9]{1,32}$`)
	errName = errors.New("names of customers and articles are 1 to 32 of a-z and 0-9")
)

// ask answers a request by what the customer's cart says.
func (s *shop) ask(question func(context.Context, target, *http.Request) (any, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), 5*time.Second)
		defer cancel()
		customer := r.PathValue("customer")
		err := s.open(ctx, customer)
		var answer any
		if err == nil {
			answer, err = question(ctx, registry.Ref[message](carts, customer), r)
		}
		switch {
		case errors.Is(err, errName):
			http.Error(w, err.Error(), http.StatusBadRequest)
		case err != nil:
			http.Error(w, err.Error(), http.StatusInternalServerError)
		default:
			w.Header().Set("Content-Type", "application/json")
			_ = json.NewEncoder(w).Encode(answer) // a client that has left misses nothing
		}
	}
}

// open sees to it that the customer has a cart.
func (s *shop) open(ctx context.Context, customer string) error {
	if !name.MatchString(customer) {
		return errName
	}
	if _, err := carts.Whereis(customer); err == nil {
		return nil
	}
	_, err := s.carts.Load().StartChild(ctx, actor.Child(customer, func() actor.Server[message] { return newCart(customer) },
		actor.Options{Label: "cart of " + customer, Name: carts.As(customer, struct{}{})}))
	if _, other := errors.AsType[*actor.AlreadyStartedError](err); other {
		return nil // two asked at once
	}
	return err
}
