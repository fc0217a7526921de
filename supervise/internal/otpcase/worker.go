package otpcase

import (
	"context"
	"errors"
	"hash/crc32"
	"slices"
	"sync"

	"semper/supervise"
)

var (
	errNope  = errors.New("nope")
	errCrash = errors.New("boom")
)

// A worker is one incarnation of a child without a tree.
type worker struct {
	p     *play
	who   identity
	child *Child
	done  chan struct{}

	mu     sync.Mutex // guards the following
	ended  bool
	reason supervise.Reason
	tell   []func()
}

// A teller is a worker that tells of its end, so that no goroutine of the supervisor waits for it. Half of the workers
// are, for both ways to be taken.
type teller struct{ *worker }

// Notify implements supervise.Notifier.
func (t teller) Notify(f func()) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.ended {
		f()
		return
	}
	t.tell = append(t.tell, f)
}

// identity says which child of the tree something is about.
type identity struct {
	path string
	pool string // the path of the outermost simple_one_for_one above it, if there is one
	slot string // the path of that one's child which it is or belongs to
}

// below is the identity of a child in a tree that stands at i.
func (i identity) below(t *Tree, id string) identity {
	child := identity{join(i.path, id), i.pool, i.slot}
	if t.dynamic() && i.slot == "" {
		child.pool, child.slot = i.path+"/", child.path
	}
	return child
}

// Done implements supervise.Child.
func (w *worker) Done() <-chan struct{} { return w.done }

// Reason implements supervise.Child.
func (w *worker) Reason() supervise.Reason { return w.reason }

// Shutdown implements supervise.Child.
func (w *worker) Shutdown() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.ended {
		return
	}
	w.p.write("stop", w.who)
	if w.child.OnStop != "ignore" {
		w.finish(reasonOf(manners[index(manners, w.child.OnStop)]))
	}
}

// Kill implements supervise.Child.
func (w *worker) Kill() { w.end(supervise.Reason{Kind: supervise.Killed}) }

// end ends the worker, and reports whether it ran until then.
func (w *worker) end(r supervise.Reason) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.ended {
		return false
	}
	w.finish(r)
	return true
}

func (w *worker) finish(r supervise.Reason) {
	w.ended, w.reason = true, r
	w.p.write("down", w.who, r.Kind.String())
	close(w.done)
	for _, f := range w.tell {
		f()
	}
}

func (w *worker) lives() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return !w.ended
}

func reasonOf(word string) supervise.Reason {
	switch word {
	case "normal":
		return supervise.Reason{Kind: supervise.Normal}
	case "shutdown":
		return supervise.Reason{Kind: supervise.Shutdown}
	case "shutdown_term":
		return supervise.Reason{Kind: supervise.Shutdown, Err: errCrash}
	case "kill":
		return supervise.Reason{Kind: supervise.Killed}
	}
	return supervise.Reason{Kind: supervise.Crash, Err: errCrash}
}

// nested is a supervisor as a child of another: it writes down its end before its parent can see it.
type nested struct {
	supervisor
	done chan struct{}
}

// Done implements supervise.Child.
func (n *nested) Done() <-chan struct{} { return n.done }

// start makes the StartFunc of the child who. It writes the start down when it is acknowledged, as the last thing.
func (p *play) start(who identity, c *Child) supervise.StartFunc {
	return func(ctx context.Context) (supervise.Child, error) {
		outcome := p.outcome(ctx, who.path)
		switch outcome {
		case "fail":
			p.write("startfail", who)
			return nil, errNope
		case "taken":
			p.write("taken", who)
			return nil, supervise.ErrAlreadyStarted
		case "ignore":
			p.write("ignore", who)
			return nil, supervise.ErrIgnore
		case "raise":
			p.write("raise", who)
			panic("raised as told")
		}
		if c.Tree != nil {
			return p.startTree(ctx, who, c.Tree)
		}
		w := &worker{p: p, who: who, child: c, done: make(chan struct{})}
		p.mu.Lock()
		defer p.mu.Unlock()
		p.workers[who.path] = w
		child := supervise.Child(w)
		if crc32.ChecksumIEEE([]byte(who.path))%2 == 0 {
			child = teller{w}
		}
		p.children[who.path] = child
		p.add("start", who)
		return child, nil
	}
}

// startTree starts a nested supervisor.
func (p *play) startTree(ctx context.Context, who identity, t *Tree) (supervise.Child, error) {
	s, err := p.supervise(ctx, who, t)
	if err != nil {
		p.write("startfail", who)
		return nil, err
	}
	n := &nested{supervisor: s, done: make(chan struct{})}
	p.mu.Lock()
	p.supervisors[who.path], p.children[who.path] = n, n
	p.add("start", who)
	p.mu.Unlock()
	p.watchers.Go(func() {
		<-s.Done()
		p.mu.Lock()
		if p.supervisors[who.path] == supervisor(n) {
			delete(p.supervisors, who.path)
		}
		p.add("down", who, s.Reason().Kind.String())
		p.mu.Unlock()
		close(n.done)
	})
	return n, nil
}

// outcome takes the next word of the script for path, having waited where it says block.
func (p *play) outcome(ctx context.Context, path string) string {
	for {
		p.mu.Lock()
		script := p.scripts[path]
		if len(script) == 0 {
			p.mu.Unlock()
			return "ok"
		}
		p.scripts[path] = script[1:]
		if script[0] != "block" {
			p.mu.Unlock()
			return script[0]
		}
		gate := make(chan struct{})
		p.blocked[path] = gate
		p.add("block", identity{path: path})
		p.mu.Unlock()
		select {
		case <-gate:
		case <-ctx.Done(): // cancelled, where OTP would wait on
			p.release(path)
			return "fail"
		}
	}
}

// release lets a blocked start go on, and takes the blocks that are still to come out of the child's script.
func (p *play) release(path string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.scripts[path] = slices.DeleteFunc(p.scripts[path], func(o string) bool { return o == "block" })
	if gate, ok := p.blocked[path]; ok {
		close(gate)
		delete(p.blocked, path)
	}
}
