package application

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
)

// A Key is one setting that applications can have, with the type of its value. It is known by identity, most often of a
// package variable, so that two packages never mean different things by one name:
//
//	var Port = application.NewKey("port", 8080)
type Key[T any] struct {
	name     string
	fallback T
}

// NewKey makes a key. Its name is for people and need not be unique; the fallback is the value where none is set.
func NewKey[T any](name string, fallback T) *Key[T] { return &Key[T]{name: name, fallback: fallback} }

func (k *Key[T]) String() string { return k.name }

// To is the setting of this key to v, for Application.Env, Options.Env and Controller.SetEnv.
func (k *Key[T]) To(v T) Setting { return Setting{key: k, name: k.name, value: v} }

// Get is the value for the application that ctx belongs to: that of its Start and its other functions, and of all the
// processes started with such a context. Outside of any application it is the fallback.
func (k *Key[T]) Get(ctx context.Context) T {
	if m := memberOf(ctx); m != nil {
		return k.Of(m.controller, m.name)
	}
	return k.fallback
}

// Of is the value for an application of c: what SetEnv, Options.Env or Application.Env say, in this order, or else the
// fallback.
func (k *Key[T]) Of(c *Controller, app string) T {
	v, _ := k.Lookup(c, app)
	return v
}

// Lookup is Of, and says whether the value was set.
func (k *Key[T]) Lookup(c *Controller, app string) (T, bool) {
	if c == nil {
		return k.fallback, false
	}
	c.envMu.RLock()
	defer c.envMu.RUnlock()
	if s, ok := c.env[app][k]; ok {
		v, _ := s.value.(T) // only To makes settings; a nil interface value is the zero T
		return v, true
	}
	return k.fallback, false
}

// A Setting is a key with a value.
type Setting struct {
	key   any // a *Key
	name  string
	value any
}

// Name is that of the key.
func (s Setting) Name() string { return s.name }

// Value is what the key is set to.
func (s Setting) Value() any { return s.value }

func (s Setting) String() string { return fmt.Sprintf("%s=%v", s.name, s.value) }

// Env lists what is set for an application, sorted by name.
func (c *Controller) Env(app string) []Setting {
	c.envMu.RLock()
	defer c.envMu.RUnlock()
	return slices.SortedStableFunc(maps.Values(c.env[app]), func(a, b Setting) int { return cmp.Compare(a.name, b.name) })
}

// SetEnv overrides settings of a loaded application, until it is unloaded. One that runs sees them at its next Get.
func (c *Controller) SetEnv(app string, settings ...Setting) error {
	for _, s := range settings {
		if s.key == nil {
			return fmt.Errorf("%w setting for application %s: it is empty; make settings with Key.To", ErrInvalid, app)
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.apps[app] == nil {
		return c.unknown(app)
	}
	c.setEnv(app, settings)
	return nil
}

// UnsetEnv takes settings back: keys fall back to what NewKey said, not to what the application was loaded with.
func (c *Controller) UnsetEnv(app string, names ...string) {
	c.envMu.Lock()
	defer c.envMu.Unlock()
	maps.DeleteFunc(c.env[app], func(_ any, s Setting) bool { return slices.Contains(names, s.name) })
}

// setEnv is called with c.mu held, or before c is anybody else's.
func (c *Controller) setEnv(app string, settings []Setting) {
	c.envMu.Lock()
	defer c.envMu.Unlock()
	if c.env[app] == nil {
		c.env[app] = map[any]Setting{}
	}
	for _, s := range settings {
		c.env[app][s.key] = s
	}
}

type memberKey struct{}

// member says whose context it is.
type member struct {
	controller *Controller
	name       string
}

func memberOf(ctx context.Context) *member {
	m, _ := ctx.Value(memberKey{}).(*member)
	return m
}

// Of is the name of the application that ctx belongs to, and its controller; nothing outside of any.
func Of(ctx context.Context) (c *Controller, app string) {
	if m := memberOf(ctx); m != nil {
		return m.controller, m.name
	}
	return nil, ""
}
