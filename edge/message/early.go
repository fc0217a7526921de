package message

import (
	"errors"
	"net/http"
	"net/textproto"
	"sync"
)

// MaxEarly bounds the informational responses to one request that are passed on.
const MaxEarly = 32

// An Early passes on the informational responses to one request. They may come from another goroutine than the final one, whose
// attempts go one after the other; its methods are safe for concurrent use.
type Early struct {
	mu     sync.Mutex
	barred bool
	n      int
}

// Pass passes one on to w, unless they are barred. It never passes 100 on, which is for whoever sends the content.
func (e *Early) Pass(w http.ResponseWriter, code int, h textproto.MIMEHeader) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.barred || code == http.StatusContinue {
		return nil
	}
	if e.n++; e.n > MaxEarly {
		return errors.New("too many informational responses")
	}
	WriteEarly(w, code, http.Header(h))
	return nil
}

// Bar says whether no more are passed on: the final response is on its way.
func (e *Early) Bar(bar bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.barred = bar
}

// Any reports whether the client has got one.
func (e *Early) Any() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.n > 0
}
