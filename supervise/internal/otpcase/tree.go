package otpcase

import (
	"context"
	"errors"
	"fmt"
	"time"

	"semper/supervise"
)

// errSimple answers what has no meaning for a simple_one_for_one; its type in Go does not have such methods.
var errSimple = errors.New("simple_one_for_one")

// supervise starts the supervisor of t, which stands at who.
func (p *play) supervise(ctx context.Context, who identity, t *Tree) (supervisor, error) {
	if t.dynamic() {
		s, err := supervise.StartDynamic(ctx, supervise.DynamicFlags{
			Name: "/" + who.path, Intensity: t.intensity(), Period: time.Duration(t.period()) * time.Second,
		}, supervise.Options{})
		if err != nil {
			return nil, err // and no supervisor that is a nil pointer
		}
		p.mu.Lock()
		defer p.mu.Unlock()
		p.templates[who.path] = template{who, t}
		return s, nil
	}
	var specs []supervise.ChildSpec
	for i := range t.Children {
		specs = append(specs, p.spec(who.below(t, t.Children[i].ID), &t.Children[i]))
	}
	s, err := supervise.Start(ctx, supervise.Flags{
		Name:         "/" + who.path,
		Strategy:     supervise.Strategy(index(strategies, t.Strategy)),
		Intensity:    t.intensity(),
		Period:       time.Duration(t.period()) * time.Second,
		AutoShutdown: supervise.AutoShutdown(index(autoShutdowns, t.AutoShutdown)),
	}, specs, supervise.Options{})
	if err != nil {
		return nil, err
	}
	return s, nil
}

// spec is the child spec of the child who.
func (p *play) spec(who identity, c *Child) supervise.ChildSpec {
	_, id := parent(who.path)
	return supervise.ChildSpec{
		ID:          id,
		Start:       p.start(who, c),
		Restart:     supervise.RestartType(index(restarts, c.Restart)),
		Shutdown:    c.shutdown(),
		Supervisor:  c.Tree != nil || c.Type == "supervisor",
		Significant: c.Significant,
	}
}

// ask makes a call and waits for its answer.
func (p *play) ask(sup supervisor, path, id string, s *Step) error {
	if s.Do == "start_child" {
		p.script(join(path, id), s.Spec.Starts)
	}
	switch sup := sup.(type) {
	case *supervise.Supervisor:
		switch s.Do {
		case "start_child":
			return sup.StartChild(p.ctx, p.spec(identity{path: join(path, id)}, s.Spec))
		case "terminate_child":
			return sup.TerminateChild(p.ctx, id)
		case "restart_child":
			return sup.RestartChild(p.ctx, id)
		}
		return sup.DeleteChild(p.ctx, id)
	case *supervise.Dynamic:
		switch s.Do {
		case "start_child":
			p.mu.Lock()
			t := p.templates[path]
			p.mu.Unlock()
			_, err := sup.StartChild(p.ctx, p.spec(t.who.below(t.tree, id), &t.tree.Children[0]))
			return err
		case "terminate_child":
			return sup.TerminateChild(p.ctx, p.child(join(path, id)))
		}
		return errSimple
	}
	return fmt.Errorf("case names no kind of supervisor for a %T", sup)
}

// A template is the simple_one_for_one who, and of what its children are made.
type template struct {
	who  identity
	tree *Tree
}

// child is the last incarnation at path, or one that lives but is nobody's child.
func (p *play) child(path string) supervise.Child {
	p.mu.Lock()
	defer p.mu.Unlock()
	if c, ok := p.children[path]; ok {
		return c
	}
	return &worker{p: p, done: make(chan struct{})}
}
