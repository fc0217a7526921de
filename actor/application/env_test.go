package application

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"semper/actor"
	"semper/supervise"
)

var (
	port  = NewKey("port", 8080)
	limit = NewKey("limit", time.Second)
	who   = NewKey[fmt.Stringer]("who", nil)
)

// get_env and set_env: who overrides whom.
func TestEnv(t *testing.T) {
	bubble(t, func(t *testing.T, l *lab) {
		apps := []Application{
			{Name: "a", Env: []Setting{port.To(1), limit.To(time.Minute)}}, {Name: "b", Env: []Setting{port.To(2), who.To(nil)}}, {Name: "c"},
		}
		c, err := New(Options{Env: map[string][]Setting{"a": {port.To(10)}}}, apps...)
		if err != nil {
			t.Fatal(err)
		}
		if a, b, x := port.Of(c, "a"), port.Of(c, "b"), port.Of(c, "c"); a != 10 || b != 2 || x != 8080 {
			t.Errorf("a %d, b %d, c %d", a, b, x)
		}
		if err := c.SetEnv("b", port.To(20)); err != nil || port.Of(c, "b") != 20 {
			t.Errorf("%v, %d", err, port.Of(c, "b"))
		}
		if got := fmt.Sprint(c.Env("a")); got != "[limit=1m0s port=10]" {
			t.Error(got)
		}
		if _, ok := port.Lookup(c, "c"); ok {
			t.Error("found what was not set")
		}
		if v, ok := who.Lookup(c, "b"); v != nil || !ok {
			t.Error("a nil that was set was not found")
		}
		c.UnsetEnv("a", "port")
		if port.Of(c, "a") != 8080 || port.Of(nil, "a") != 8080 || port.Of(c, "nobody") != 8080 || port.Get(t.Context()) != 8080 {
			t.Error("the fallback is not what is left")
		}
		if err := c.Unload("b"); err != nil || len(c.Env("b")) != 0 {
			t.Errorf("%v, %v", err, c.Env("b"))
		}
		if _, err := New(Options{Env: map[string][]Setting{"aa": {port.To(1)}}}, apps...); !errors.Is(err, ErrNotLoaded) {
			t.Errorf("env of nobody: %v", err)
		}
		if err := c.SetEnv("a", Setting{}); !errors.Is(err, ErrInvalid) {
			t.Error(err)
		}
	})
}

// Two keys of one name are two settings: the packages that made them do not know of each other.
func TestKeysAreKnownByIdentity(t *testing.T) {
	t.Parallel()
	other := NewKey("port", "http")
	c, err := New(Options{}, Application{Name: "a", Env: []Setting{port.To(1), other.To("https")}})
	if err != nil || port.Of(c, "a") != 1 || other.Of(c, "a") != "https" {
		t.Errorf("%v, %d, %s", err, port.Of(c, "a"), other.Of(c, "a"))
	}
}

// Every process of an application's tree finds the settings of that application, however deep it is and also after a
// restart.
func TestProcessesKnowTheirApplication(t *testing.T) {
	bubble(t, func(t *testing.T, l *lab) {
		name := actor.NewName[actor.From[string]]("teller")
		c := l.controller(l.app("other"), with(l.app("shop"), func(a *Application) {
			a.Env = []Setting{port.To(443)}
			a.Start = func(ctx context.Context) (supervise.Child, error) {
				return supervise.Start(ctx, supervise.Flags{Intensity: 3}, []supervise.ChildSpec{
					actor.Child("teller", func() actor.Server[actor.From[string]] { return teller{} }, actor.Options{Name: name}),
				}, supervise.Options{})
			}
		}))
		l.up(c, "shop")
		for range 2 {
			got, err := actor.Call(t.Context(), name, func(f actor.From[string]) actor.From[string] { return f })
			if got != "shop 443" || err != nil {
				t.Errorf("%q, %v", got, err)
			}
			ref, _ := name.Resolve()
			ref.PID().Kill()
			time.Sleep(time.Second)
		}
		l.down(c)
		if c, app := Of(t.Context()); c != nil || app != "" {
			t.Error("a context of nobody belongs to", app)
		}
	})
}

type teller struct{}

func (teller) Handle(self *actor.Self[actor.From[string]], m actor.From[string]) error {
	_, app := Of(self)
	m.Reply(fmt.Sprint(app, " ", port.Get(self)))
	return nil
}
