package supervise

import (
	"errors"
	"runtime/debug"
)

// live is the goroutine of one incarnation. It calls the StartFunc, and goes on to watch the child, so that every call
// into it is made where blocking hurts nobody else, unless the child is a Notifier: of that nothing is kept. A start
// that acknowledged by itself has made the goroutine the child's.
func (l *loop) live(run *Starting, start StartFunc) {
	itself := true
	defer func() {
		if !itself {
			l.works.Done()
		}
	}()
	child, watch := run.call(start, &itself)
	switch {
	case watch != nil:
		watch.watch(child)
	case child != nil:
		run.listen(child.(Notifier))
	}
}

var errStartGone = errors.New("the start ended its goroutine")

// call calls the StartFunc and tells the outcome, whatever it is: a panic is a failed start, as an exception is in OTP,
// and so is the end of the goroutine.
func (s *Starting) call(start StartFunc, itself *bool) (child Child, watch *Starting) {
	err := errStartGone
	defer func() {
		if !s.claim() {
			child, watch = nil, nil
			return // and a panic is the child's own: it ends the program, as that of any goroutine
		}
		*itself = false
		if v := recover(); v != nil {
			err = &PanicError{Value: v, Stack: debug.Stack()}
		}
		s.put(child, watch, err)
	}()
	c, err2 := start(s)
	switch {
	case err2 != nil: // c is possibly a nil pointer of a real type
		err = err2
	case c == nil:
		err = errors.New("the start returned neither a child nor an error")
	default:
		child, err = c, nil
		watch = s.watcher(c)
	}
	return child, watch
}

// watcher is what watches a child that does not tell of its end itself; nil for one that does. It does not keep the
// context.
func (s *Starting) watcher(child Child) *Starting {
	if _, tells := child.(Notifier); tells {
		return nil
	}
	return &Starting{l: s.l, kid: s.kid, n: s.n, asks: make(chan verb, 2)} // one doShutdown, one doKill
}

func (s *Starting) put(child Child, watch *Starting, err error) {
	s.l.box.put(answered{kid: s.kid, n: s.n, child: child, run: watch, err: err})
}

func (s *Starting) listen(child Notifier) {
	l, e := s.l, &ended{kid: s.kid, n: s.n}
	child.Notify(func() { l.box.put(e) })
}

func (s *Starting) watch(child Child) {
	for {
		select {
		case <-child.Done():
			s.l.box.put(&ended{kid: s.kid, n: s.n})
			return
		case what := <-s.asks:
			tell(child, what)
		case <-s.l.released:
			return
		}
	}
}

// tell passes on what the child of k is asked to do.
func (k *kid) tell(what verb) {
	if k.run == nil {
		tell(k.child, what)
		return
	}
	select {
	case k.run.asks <- what:
	default: // the same has been asked already
	}
}

func tell(child Child, what verb) {
	if what == doKill {
		child.Kill()
	} else {
		child.Shutdown()
	}
}
