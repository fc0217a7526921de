package probe

import (
	"context"
	"net"
	"slices"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

// answers are what becomes of questions by connecting, one after the other; nobody answers behind the last.
type answers struct {
	errs  []error
	asked int
	end   context.CancelFunc
}

func (a *answers) whom() Backend {
	return Backend{Dial: func(context.Context) (net.Conn, error) {
		if a.asked == len(a.errs) {
			a.end()
			return nil, net.ErrClosed
		}
		err := a.errs[a.asked]
		if a.asked++; err != nil {
			return nil, err
		}
		c, _ := net.Pipe()
		return c, nil
	}}
}

func TestAwait(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		check := func() Check { return Check{} }
		a := answers{errs: []error{syscall.ECONNREFUSED, syscall.EMFILE, syscall.ECONNREFUSED, nil}, end: cancel}
		if !Await(ctx, check, a.whom) || a.asked != 4 {
			t.Errorf("not well after %d questions", a.asked)
		}
		if Await(ctx, check, a.whom) {
			t.Error("nobody is well")
		}
	})
}

// TestFollow has a backend fail, and this process have no descriptor, which changes nothing.
func TestFollow(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		check := Check{Interval: time.Minute, Rise: 1, Fall: 2}
		no, full := syscall.ECONNREFUSED, syscall.EMFILE
		a := answers{errs: []error{nil, no, full, full, nil, no, full, no, full, nil}, end: cancel}
		var told []bool
		Follow(ctx, func() Check { return check }, a.whom, func(healthy, asked bool) {
			if !asked {
				t.Error("told, and not asked")
			}
			told = append(told, healthy)
		})
		if want := []bool{true, false, true}; !slices.Equal(told, want) || a.asked != len(a.errs) {
			t.Errorf("told %v after %d questions, want %v", told, a.asked, want)
		}
		check.Interval = 0
		ended := false
		Follow(t.Context(), func() Check { return check }, a.whom, func(healthy, asked bool) { ended = healthy && !asked })
		if !ended {
			t.Error("nothing is asked, and the backend is not healthy")
		}
	})
}
