package observer

import (
	"context"
	"strings"
	"testing"

	"semper/actor"
	"semper/supervise"
)

func TestServiceLeavesCrashReport(t *testing.T) {
	t.Parallel()
	reports := make(chan actor.CrashReport, 4)
	var events int
	s, err := supervise.Start(t.Context(), supervise.Flags{Name: "shop/back", Intensity: 9}, []supervise.ChildSpec{
		{ID: "quiet", Restart: supervise.Temporary, Start: supervise.Serve(func(context.Context) error { return nil })},
		{ID: "itself", Restart: supervise.Temporary, Start: supervise.Serve(func(context.Context) error { return errBoom })},
		{ID: "broken", Restart: supervise.Temporary, Start: supervise.Serve(func(context.Context) error { panic("no stock") })},
	}, supervise.Options{Observe: Services(func(r actor.CrashReport) { reports <- r }, func(supervise.Event) { events++ }, "itself")})
	if err != nil {
		t.Fatal(err)
	}
	r := <-reports
	if err := s.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	if r.Label != "broken" || !strings.Contains(r.Stack, "service_test.go") || r.Reason.String() != "crash: panic: no stock" {
		t.Errorf("report %+v, want the panic of broken with its stack", r)
	}
	if at := placeOfService(r); at != "shop/back/broken" {
		t.Errorf("it stands at %q, want shop/back/broken", at)
	}
	if len(reports) != 0 {
		t.Errorf("another report, %+v: itself is a process, and quiet ended well", <-reports)
	}
	if events < 6 { // three starts, three ends
		t.Errorf("next got %d events, want all", events)
	}
	u := NewUplink(Options{Socket: "unused"})
	u.keep(r)
	if c := <-u.queue; c.Path != "shop/back/broken" || c.PID != "" || c.Stack == "" {
		t.Errorf("to semper goes %+v, want the path and the stack, and no pid", c)
	}
}

func TestServiceThatPanicsInItsStartLeavesCrashReport(t *testing.T) {
	t.Parallel()
	reports := make(chan actor.CrashReport, 1)
	_, err := supervise.Start(t.Context(), supervise.Flags{Name: "shop"}, []supervise.ChildSpec{
		{ID: "api", Start: supervise.ServeReady(func(context.Context, func()) error { panic("no port") })},
	}, supervise.Options{Observe: Services(func(r actor.CrashReport) { reports <- r }, nil)})
	if err == nil {
		t.Fatal("started, want the panic of api")
	}
	if r := <-reports; r.Label != "api" || r.Stack == "" {
		t.Errorf("report %+v, want that of api", r)
	}
}
