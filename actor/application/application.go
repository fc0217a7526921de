package application

import (
	"context"
	"fmt"
	"slices"

	"semper/supervise"
)

// An Application is a part of a program that is started and stopped as a whole: most often a supervision tree with what
// it needs around it. It is a description and may be loaded into any number of controllers.
//
// Its functions are called in a goroutine of their own each, one at a time. A panic in one is an error of that function
// and ends nothing else.
type Application struct {
	Name        string // unique within its controller, not empty
	Description string // for people
	Version     string // for people

	// Dependencies are the names of applications that run before this one starts and are stopped after it.
	Dependencies []string
	// Optional are dependencies that may be missing: one that is loaded is started before this application.
	Optional []string

	// Type says what the end of this application means for the others.
	Type Type

	// Start starts the tree and returns what is at its top, most often a *supervise.Supervisor. It must return soon
	// after ctx ends, which it does when the start is broken off, and also when the start is over: what goes on running
	// has a life of its own and takes values from ctx, never its end. ErrIgnore is success without a tree: whatever
	// there was to do is done. A nil Start is a library: it has no tree, but can be depended on.
	Start supervise.StartFunc
	// Phases are steps of the start that want every tree of the same start to be up.
	Phases []Phase
	// PrepStop runs before the tree is asked to end, unless it ended by itself or was killed. What comes from outside can be
	// turned away here. An error is reported and changes nothing. Its context ends only by Controller.Kill.
	PrepStop func(ctx context.Context) error
	// Stop runs after the tree has ended, for whatever reason, except by Controller.Kill. An error is reported and changes
	// nothing. Its context ends only by Controller.Kill.
	Stop func(ctx context.Context) error

	// Env are the settings of the application, which Options.Env and Controller.SetEnv override.
	Env []Setting
}

// A Phase is one step of a start in several steps, which synchronizes applications: no application enters a phase before
// all that have an earlier one are through with it.
type Phase struct {
	Name string
	Run  func(ctx context.Context) error // ctx ends when the start is broken off, or the application ends
}

// Type says what the end of an application means for the others. One that is stopped on purpose concerns nobody else,
// whatever its type.
type Type int

const (
	// Permanent: when it ends, for whatever reason, the controller stops all others and ends. Nothing in a program
	// should go on as if an application were there that is not, so that this is the zero Type.
	Permanent Type = iota
	// Transient: as Permanent when it ends for any reason but Normal. Mind that a supervisor ends with Shutdown, never
	// with Normal: with a supervision tree this differs from Permanent only when the tree is told to.
	Transient
	// Temporary: its end is reported, and that is all.
	Temporary
)

func (t Type) String() string {
	return name("type", int(t), "permanent", "transient", "temporary")
}

// ends reports whether the end of an application by itself, for r, is the end of all.
func (t Type) ends(r supervise.Reason) bool {
	return t == Permanent || t == Transient && r.Kind != supervise.Normal
}

func (a *Application) validate() error {
	switch {
	case a.Name == "":
		return fmt.Errorf("%w application: it has no name", ErrInvalid)
	case a.Type < Permanent || a.Type > Temporary:
		return fmt.Errorf("%w application %s: %v, want Permanent, Transient or Temporary", ErrInvalid, a.Name, a.Type)
	}
	seen := map[string]bool{}
	for _, d := range slices.Concat(a.Dependencies, a.Optional) {
		if d == "" || seen[d] {
			return fmt.Errorf("%w application %s: the dependency %q is empty or there twice", ErrInvalid, a.Name, d)
		}
		seen[d] = true
	}
	phases := map[string]bool{}
	for _, p := range a.Phases {
		if p.Name == "" || p.Run == nil || phases[p.Name] {
			return fmt.Errorf("%w application %s: the phase %q wants a name of its own and a function", ErrInvalid, a.Name, p.Name)
		}
		phases[p.Name] = true
	}
	for _, s := range a.Env {
		if s.key == nil {
			return fmt.Errorf("%w application %s: an empty setting; make settings with Key.To", ErrInvalid, a.Name)
		}
	}
	return nil
}

// clone keeps what is loaded apart from what the caller may change afterwards.
func (a Application) clone() Application {
	a.Dependencies, a.Optional = slices.Clone(a.Dependencies), slices.Clone(a.Optional)
	a.Phases, a.Env = slices.Clone(a.Phases), slices.Clone(a.Env)
	return a
}

// name is the text of one of a few numbered words.
func name(what string, i int, names ...string) string {
	if i >= 0 && i < len(names) {
		return names[i]
	}
	return fmt.Sprintf("%s(%d)", what, i)
}
