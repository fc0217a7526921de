package mirror

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"semper"
	"semper/edge/front"
	"semper/edge/sketch"
	"semper/verify/diff"
)

const (
	// keptFor is how long counts of a pool are told after it is copied no more.
	keptFor = 10 * time.Minute
	// waiting is how many pairs may wait to be compared.
	waiting = 256
	// overhead is what a pair costs beside the bytes of its messages.
	overhead = 4 << 10
	// places bounds the places at which answers of one pool differ.
	places = 200
)

// Defaults of [semper.Shadowing].
const (
	defaultConcurrency = 32
	defaultBytes       = 64 << 20
	defaultBody        = 1 << 20
	defaultTimeout     = 10 * time.Second
)

// A Sender sends copies to instances of a pool. Each is in flight there until done is called, with what became of it; done says whether that says
// nothing of the instance: the copy was cut by who drains it, or this process was out of something. An error is [ErrNobody] where no
// instance may be asked: then there is no done.
type Sender struct {
	// Trip is a copy by net/http's values. There is a done whatever the error is, but that one.
	Trip func(r *http.Request) (resp *http.Response, done func(error) (void bool), err error)
	// Claim is the target of a copy that a driver makes. From then on cut may be called, by any goroutine. The error is [ErrForeign] where
	// drivers do not speak to the instances of the pool.
	Claim func(cut func()) (t *front.Target, done func(error) (void bool), err error)
}

// ErrNobody: no instance may be asked.
var ErrNobody = errors.New("there is no instance to send a copy to")

// ErrForeign: drivers do not speak to the instances.
var ErrForeign = errors.New("a driver does not speak to the instances of the pool")

// Mirrors are all of an edge's.
type Mirrors struct {
	edge  string
	ctx   context.Context // of all copies
	stop  context.CancelFunc
	queue chan *Copy // to be compared

	copies sync.WaitGroup

	mu     sync.Mutex // guards what follows
	closed bool
	all    map[key]*Mirror
}

type key struct {
	pool    semper.PoolKey
	rollout string
	release semper.ReleaseName
}

// New makes those of the edge with a name, which began at began. [Mirrors.Serve] compares.
func New(name string, began time.Time) *Mirrors {
	m := &Mirrors{edge: name + "@" + began.UTC().Format(time.RFC3339Nano), queue: make(chan *Copy, waiting), all: make(map[key]*Mirror)}
	m.ctx, m.stop = context.WithCancel(context.Background())
	return m
}

// Close ends all copies and waits for them.
func (m *Mirrors) Close() {
	m.mu.Lock()
	m.closed = true
	m.mu.Unlock()
	m.stop()
	m.copies.Wait()
}

// enter lets n copies begin, unless all is over.
func (m *Mirrors) enter(n int) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.closed {
		m.copies.Add(n)
	}
	return !m.closed
}

// A Mirror copies requests of one pool for one rollout. The nil Mirror copies none.
type Mirror struct {
	edge    *Mirrors
	key     key
	app     string
	o       semper.Shadowing // without zeros
	fields  []string         // of answers, that are kept
	compare *diff.Comparer
	share   atomic.Uint64 // of 2^64
	to      atomic.Pointer[[2]Sender]
	gone    time.Time // when it left the table; guarded by Mirrors.mu

	flying, kept atomic.Int64 // copies in flight, and bytes
	tally        tally
	latency      [2]sketch.Sketch // of copies: the candidate's and the other ones

	mu    sync.Mutex // guards what follows
	board diff.Board
	pairs pairs
}

// A Shadowed is a pool whose requests are to be copied, and where to.
type Shadowed struct {
	Pool      semper.PoolKey
	App       string
	Rollout   string             // whose it is, so that another one begins anew
	Release   semper.ReleaseName // of the candidate
	Candidate semper.PoolKey
	Again     semper.PoolKey // the current release, asked a second time
	Share     float64
	semper.Shadowing
}

// Plan says what is copied from now on: of the pools of a table those that have a shadow and a candidate. What is not understood is told in the
// error; such a pool is not copied.
func (m *Mirrors) Plan(pools []semper.Pool, to func(semper.PoolKey) Sender, now time.Time) (map[semper.PoolKey]*Mirror, error) {
	has := make(map[semper.PoolKey]*semper.Pool, len(pools))
	for i := range pools {
		has[pools[i].Key] = &pools[i]
	}
	var all []Shadowed
	for i := range pools {
		p := &pools[i]
		candidate := has[p.Key.PoolOf(semper.ArmCandidate)]
		if p.Shadow == nil || candidate == nil {
			continue
		}
		one := Shadowed{
			Pool: p.Key, App: p.App, Rollout: p.Shadow.Rollout, Release: candidate.Release, Candidate: candidate.Key,
			Again: p.Key, // where there are no fresh instances those that serve know what differs anyway
			Share: p.Shadow.Share, Shadowing: p.Shadow.Shadowing,
		}
		if b := has[p.Key.PoolOf(semper.ArmBaseline)]; b != nil && len(b.Backend) > 0 {
			one.Again = b.Key
		}
		all = append(all, one)
	}
	return m.Copy(all, to, now)
}

// Copy says what is copied from now on, and returns the mirrors by their pools. What is the same as before goes on. What is not understood is told
// in the error; such a pool is not copied.
func (m *Mirrors) Copy(all []Shadowed, to func(semper.PoolKey) Sender, now time.Time) (map[semper.PoolKey]*Mirror, error) {
	var odd error
	m.mu.Lock()
	defer m.mu.Unlock()
	current, out := make(map[key]bool), make(map[semper.PoolKey]*Mirror)
	for i := range all {
		p := &all[i]
		k := key{p.Pool, p.Rollout, p.Release}
		one := m.all[k]
		if one == nil {
			var err error
			if one, err = m.mirror(k, p.App, p.Shadowing); err != nil {
				odd = errors.Join(odd, fmt.Errorf("shadow of pool %s: %w", p.Pool, err))
				continue
			}
			m.all[k] = one
		}
		one.to.Store(&[2]Sender{to(p.Candidate), to(p.Again)})
		one.share.Store(part(p.Share))
		one.gone, current[k], out[p.Pool] = time.Time{}, true, one
	}
	for k, one := range m.all {
		if !current[k] && one.gone.IsZero() {
			one.gone = now
			one.share.Store(0)
		}
	}
	m.forgetLocked(now)
	return out, odd
}

func (m *Mirrors) forgetLocked(now time.Time) {
	for k, one := range m.all {
		if !one.gone.IsZero() && now.Sub(one.gone) >= keptFor {
			delete(m.all, k)
		}
	}
}

// mirror is that of k by o.
func (m *Mirrors) mirror(k key, app string, o semper.Shadowing) (*Mirror, error) {
	terms, err := diff.ReadTerms(o.Rules)
	if err != nil {
		return nil, err
	}
	how, err := terms.Options()
	if err != nil {
		return nil, err
	}
	how.Fields = o.Headers
	o.Concurrency = cmp.Or(max(o.Concurrency, 0), defaultConcurrency)
	o.Bytes, o.Body = cmp.Or(max(o.Bytes, 0), defaultBytes), cmp.Or(max(o.Body, 0), defaultBody)
	o.Timeout = cmp.Or(max(o.Timeout, 0), semper.Duration(defaultTimeout))
	if o.Again == 0 {
		o.Again = 1
	}
	compare, err := diff.New(how)
	if err != nil {
		return nil, err
	}
	one := &Mirror{edge: m, key: k, app: app, o: o, compare: compare, board: diff.Board{Room: places}}
	one.fields = append(slices.Clone(compare.Fields()), "Content-Type", "Content-Encoding", "Grpc-Encoding")
	slices.Sort(one.fields)
	one.fields = slices.Compact(one.fields)
	return one, nil
}

// part is a share of the range of uint64.
func part(share float64) uint64 {
	switch f := math.Ldexp(share, 64); {
	case !(f > 0): // not a number, too
		return 0
	case f >= math.MaxUint64:
		return math.MaxUint64
	default:
		return uint64(f)
	}
}

// picks draws whether a request is to be copied.
func (m *Mirror) picks() bool {
	if m == nil {
		return false
	}
	share := m.share.Load()
	return share > 0 && rand.Uint64() <= share
}

// reserve takes n bytes of those that may be kept, and reports whether there were as many.
func (m *Mirror) reserve(n int64) bool {
	if m.kept.Add(n) <= m.o.Bytes {
		return true
	}
	m.kept.Add(-n)
	return false
}

// Flying is how many copies are in flight, of all pools.
func (m *Mirrors) Flying() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	n := int64(0)
	for _, one := range m.all {
		n += one.flying.Load()
	}
	return int(n)
}

// enter takes n places among the copies in flight, and reports whether there were as many.
func (m *Mirror) enter(n int64) bool {
	if m.flying.Add(n) <= int64(m.o.Concurrency) {
		return true
	}
	m.flying.Add(-n)
	return false
}
