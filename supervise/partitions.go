package supervise

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strconv"
	"sync/atomic"
	"time"
)

// Partitions supervise copies of one child, so that work on different keys need not queue behind one process. A key
// always leads to the same partition, in every process, as long as their number stays. The ids of the children are the
// numbers of the partitions, from "0". A Partitions is itself a Child.
type Partitions struct {
	*loop
	sup  *Supervisor
	spec func(int) ChildSpec
	size atomic.Int64            // how many the keys are spread over
	at   []atomic.Pointer[Child] // the last incarnation of each
	turn chan struct{}           // full while a Resize is at work
}

// PartitionFlags are the settings of one Partitions; those of Flags mean the same.
type PartitionFlags struct {
	Name       string
	Partitions int // zero: GOMAXPROCS
	Strategy   Strategy
	Intensity  int
	Period     time.Duration // zero: 5s
	GiveUp     GiveUp
}

// StartPartitions starts all partitions, in order, as Start would. spec makes the spec of each, whose ID is replaced by
// the number.
func StartPartitions(ctx context.Context, f PartitionFlags, spec func(i int) ChildSpec, o Options) (*Partitions, error) {
	switch {
	case f.Partitions < 0:
		return nil, flaw{"Partitions", fmt.Sprintf("is %d, want 1 or more, or 0 for GOMAXPROCS", f.Partitions)}.of("")
	case spec == nil:
		return nil, flaw{"spec", "is nil, want a function that makes the spec of a partition"}.of("")
	case f.Partitions == 0:
		f.Partitions = runtime.GOMAXPROCS(0)
	}
	p := &Partitions{spec: spec, at: make([]atomic.Pointer[Child], f.Partitions), turn: make(chan struct{}, 1)}
	specs := make([]ChildSpec, f.Partitions)
	for i := range specs {
		specs[i] = p.partition(i)
	}
	s, err := Start(ctx, Flags{
		Name: f.Name, Strategy: f.Strategy, Intensity: f.Intensity, Period: f.Period, GiveUp: f.GiveUp,
	}, specs, o)
	if err != nil {
		return nil, err
	}
	p.sup, p.loop = s, &s.loop
	p.size.Store(int64(f.Partitions))
	return p, nil
}

// partition is the spec of the i-th, whose start writes down where keys lead.
func (p *Partitions) partition(i int) ChildSpec {
	s := p.spec(i)
	s.ID = strconv.Itoa(i)
	if start := s.Start; start != nil {
		s.Start = func(ctx context.Context) (Child, error) {
			child, err := start(whole{ctx}) // it runs when For finds it
			if err == nil && child != nil {
				p.at[i].Store(&child)
			}
			return child, err
		}
	}
	return s
}

// For is the partition that serves key: the remainder of key by the number of partitions. It is nil while that one does
// not run, for instance between its end and its restart. It takes no lock.
func (p *Partitions) For(key uint64) Child {
	n := p.size.Load()
	if n == 0 {
		return nil
	}
	child := p.at[key%uint64(n)].Load()
	if child == nil {
		return nil
	}
	select {
	case <-(*child).Done():
		return nil
	default:
		return *child
	}
}

// ForString is For of the FNV-1a hash of key.
func (p *Partitions) ForString(key string) Child {
	hash := uint64(14695981039346656037)
	for i := range len(key) {
		hash = (hash ^ uint64(key[i])) * 1099511628211
	}
	return p.For(hash)
}

// Size is the number of partitions that keys are spread over.
func (p *Partitions) Size() int { return int(p.size.Load()) }

// Flags returns the settings, with their defaults filled in; Partitions is the number there were at first.
func (p *Partitions) Flags() PartitionFlags {
	f := p.sup.Flags()
	return PartitionFlags{
		Name: f.Name, Partitions: len(p.at), Strategy: f.Strategy, Intensity: f.Intensity, Period: f.Period, GiveUp: f.GiveUp,
	}
}

// Resize makes the number of partitions n, between 0 and what it was at first. Keys are spread over the new number
// before any partition stops, and after all new ones have started. Those beyond n stop, the last first, and are
// forgotten, so that no strategy brings them back. After an error the number is what Size says, and Resize may be
// called again.
func (p *Partitions) Resize(ctx context.Context, n int) error {
	if n < 0 || n > len(p.at) {
		return flaw{"Partitions", fmt.Sprintf("to be %d, want 0 to %d, as many as there were at first", n, len(p.at))}.of("")
	}
	if err := usable(ctx); err != nil {
		return err
	}
	select {
	case p.turn <- struct{}{}:
		defer func() { <-p.turn }()
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	for i := p.Size(); i < n; i++ {
		if err := p.grow(ctx, i); err != nil {
			return err
		}
		p.size.Store(int64(i + 1))
	}
	p.size.Store(int64(n))
	for i := len(p.at) - 1; i >= n; i-- {
		if err := p.shrink(ctx, strconv.Itoa(i)); err != nil {
			return err
		}
	}
	return nil
}

// grow starts the i-th partition. It is there already if it could not be forgotten in time.
func (p *Partitions) grow(ctx context.Context, i int) error {
	s := p.partition(i)
	err := p.sup.StartChild(ctx, s)
	if errors.Is(err, ErrAlreadyPresent) {
		err = p.sup.RestartChild(ctx, s.ID)
	}
	if errors.Is(err, ErrAlreadyStarted) || errors.Is(err, ErrRunning) || errors.Is(err, ErrRestarting) {
		return nil
	}
	return err
}

func (p *Partitions) shrink(ctx context.Context, id string) error {
	err := p.sup.TerminateChild(ctx, id)
	if err == nil {
		err = p.sup.DeleteChild(ctx, id)
	}
	if errors.Is(err, ErrNotFound) { // there is none, or it was Temporary
		return nil
	}
	return err
}

// whole is the context of a start that does not acknowledge by itself.
type whole struct{ context.Context }
