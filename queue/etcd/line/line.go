// Package line is those who wait for jobs of a queue: in the order they came in, each until it has an answer or wants none.
//
// Who asks is never without an answer that was meant for it: one that gives up while its jobs are being written down
// takes them nevertheless. It knows neither jobs nor the store; queue/etcd does.
package line

import (
	"context"
	"slices"
	"sync"

	"semper/queue"
)

// Line is those who wait. Its methods are safe for concurrent use; the zero value is nobody.
type Line struct {
	mu      sync.Mutex // guards the following, and gone of each asker
	waiting []*Asker
}

// Asker is one who waits for up to Max jobs.
type Asker struct {
	Worker string
	Max    int

	gone bool               // it takes what is on its way, and waits no more
	out  chan []queue.Claim // gets one answer
}

// Share is how many jobs an asker is to get, who is not in the line meanwhile.
type Share struct {
	*Asker
	Jobs int
}

// Join puts a worker at the end. [Line.Wait] must follow.
func (l *Line) Join(worker string, n int) *Asker {
	a := &Asker{Worker: worker, Max: n, out: make(chan []queue.Claim, 1)}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.waiting = append(l.waiting, a)
	return a
}

// Wait is a's answer, or the error with which ctx or whoever answers has ended.
func (l *Line) Wait(ctx, answering context.Context, a *Asker) ([]queue.Claim, error) {
	var err error
	select {
	case claims := <-a.out:
		return claims, nil
	case <-ctx.Done():
		err = ctx.Err()
	case <-answering.Done():
		err = queue.Closed()
	}
	l.mu.Lock()
	i := slices.Index(l.waiting, a)
	if i >= 0 {
		l.waiting = slices.Delete(l.waiting, i, i+1)
	}
	a.gone = true
	l.mu.Unlock()
	if i >= 0 {
		return nil, err
	}
	if claims := <-a.out; len(claims) > 0 { // it was being answered
		return claims, nil
	}
	return nil, err
}

// Take takes the first out of the line, as many as there are jobs for: of want, which those who wait would take, there are
// jobs(want). Each must be answered or go [Line.Back].
func (l *Line) Take(jobs func(want int) int) (shares []Share) {
	l.mu.Lock()
	defer l.mu.Unlock()
	want := 0
	for _, a := range l.waiting {
		want += a.Max
	}
	if want == 0 {
		return nil
	}
	for n := jobs(want); n > 0; {
		a := l.waiting[0]
		l.waiting = l.waiting[1:]
		s := Share{a, min(a.Max, n)}
		shares, n = append(shares, s), n-s.Jobs
	}
	return shares
}

// Answer gives a its jobs.
func (a *Asker) Answer(claims []queue.Claim) { a.out <- claims }

// Back puts those who got nothing before those who came later. One that gave up meanwhile is let go.
func (l *Line) Back(askers ...*Asker) {
	l.mu.Lock()
	defer l.mu.Unlock()
	var waiting []*Asker
	for _, a := range askers {
		if a.gone {
			a.out <- nil
		} else {
			waiting = append(waiting, a)
		}
	}
	l.waiting = append(waiting, l.waiting...)
}
