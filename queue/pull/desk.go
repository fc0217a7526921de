package pull

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"

	"semper"
	"semper/queue"
)

// An Instance is who asks.
type Instance struct {
	ID          semper.InstanceID
	Incarnation int64
	App         string
	Environment string
	Service     string
	Release     semper.ReleaseName
}

// Pool is the key of its service.
func (i Instance) Pool() semper.PoolKey { return semper.NamePool(i.App, i.Environment, i.Service) }

// A Desk hands out the jobs of one service to instances that ask. It is safe for concurrent use, and does what needs no caller
// while [Desk.Run] runs.
type Desk struct {
	service semper.PoolKey
	queue   queue.Queue
	log     *slog.Logger
	random  func() float64 // from [0, 1)

	mu      sync.Mutex // guards what follows
	plan    Plan
	under   *term   // of plan
	asking  []*call // who waits for a draw, oldest first
	ring    chan struct{}
	held    map[queue.ID]*hold
	tallies tallies
	known   bool // what was handed out before this desk began was read
}

// A term is the time of one plan: claims are made in it, and the next plan waits for their end.
type term struct {
	ctx    context.Context
	end    context.CancelFunc
	claims sync.WaitGroup
}

func newTerm() *term {
	t := &term{}
	t.ctx, t.end = context.WithCancel(context.Background())
	return t
}

// A hold is a job that an instance has.
type hold struct {
	lease queue.Lease // without a token where another process claimed it
	who   semper.InstanceID
	since time.Time
	until time.Time // when to ask the queue whether it has ended
	key   tallyKey
	count bool // its end counts for key
}

// NewDesk is a desk before q, by a plan that names nobody. Close it.
func NewDesk(service semper.PoolKey, q queue.Queue, log *slog.Logger) *Desk {
	return &Desk{
		service: service, queue: q, log: log, random: rand.Float64, under: newTerm(),
		ring: make(chan struct{}, 1), held: map[queue.ID]*hold{}, tallies: tallies{},
	}
}

// Close ends all claims that wait.
func (d *Desk) Close() { d.Apply(Plan{Epoch: d.Epoch()}) }

// Epoch is that of the plan.
func (d *Desk) Epoch() semper.Epoch {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.plan.Epoch
}

// Apply has claims go by p. When it returns, no claim by the plan before is under way: what was handed out by it is in [Desk.Held].
func (d *Desk) Apply(p Plan) {
	d.mu.Lock()
	before := d.under
	d.plan, d.under = p, newTerm()
	d.mu.Unlock()
	before.end()
	before.claims.Wait()
}

// errQuiesced is for an instance that is told to take no more.
var errQuiesced = errors.New("it takes no more jobs")

// Claim gives 1 to n jobs to who, as soon as there are any and the plan lets it have them. When ctx ends before, there are none and
// no error.
func (d *Desk) Claim(ctx context.Context, who Instance, n int) ([]queue.Claim, error) {
	for ctx.Err() == nil {
		d.mu.Lock()
		plan, in := d.plan, d.under
		now := time.Now()
		standing := plan.stands(who.ID, now)
		if standing == takes {
			in.claims.Add(1)
		}
		d.mu.Unlock()
		switch standing {
		case leaves:
			return nil, fmt.Errorf("%s of %s: %w", who.ID, who.Release, errQuiesced)
		case waits:
			var over <-chan time.Time
			if held, until := plan.held(now); held && !until.IsZero() {
				over = time.After(until.Sub(now))
			}
			select {
			case <-over:
			case <-in.ctx.Done():
			case <-ctx.Done():
			}
			continue
		}
		claims, err := d.claim(ctx, in, plan, who, n)
		in.claims.Done()
		if len(claims) > 0 || err != nil && ctx.Err() == nil && in.ctx.Err() == nil {
			return claims, err
		}
	}
	return nil, nil //nolint:nilerr // who waited long enough asks again
}

// claim takes jobs by plan, until in or ctx ends.
func (d *Desk) claim(ctx context.Context, in *term, plan Plan, who Instance, n int) ([]queue.Claim, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(in.ctx, cancel)()
	if len(plan.shares) > 0 {
		return d.askForDraw(ctx, plan, who, n)
	}
	claims, err := d.queue.Claim(ctx, string(who.ID), n)
	d.hand(claims, who, plan.key(plan.sides[who.ID]), true)
	return claims, err
}

// hand notes that who has claims. Those that count are assigned to the side of key by it.
func (d *Desk) hand(claims []queue.Claim, who Instance, key tallyKey, count bool) {
	now := time.Now()
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, c := range claims {
		d.held[c.ID] = &hold{lease: c.Lease, who: who.ID, since: now, until: now.Add(c.For), key: key, count: count}
		if count {
			d.tallies.of(key, now).assigned++
		}
	}
}

// Extend makes a lease hold for the queue's time from now, which it gives.
func (d *Desk) Extend(ctx context.Context, l queue.Lease, lasts time.Duration) error {
	err := d.queue.Extend(ctx, l)
	d.mu.Lock()
	defer d.mu.Unlock()
	if h := d.held[l.ID]; h != nil && h.lease.Attempt == l.Attempt && err == nil {
		h.until = time.Now().Add(lasts)
	}
	return err
}

// Complete ends a job with its result.
func (d *Desk) Complete(ctx context.Context, l queue.Lease, r queue.Result) error {
	err := d.queue.Complete(ctx, l, r)
	d.ended(l, err, func(t *tally, took time.Duration) { t.over(took, false) })
	return err
}

// Fail ends an attempt that did not complete its job.
func (d *Desk) Fail(ctx context.Context, l queue.Lease, f queue.Failure) (queue.State, error) {
	s, err := d.queue.Fail(ctx, l, f)
	d.ended(l, err, func(t *tally, took time.Duration) { t.over(took, true) })
	return s, err
}

// Release gives a job back as if it had not been handed out.
func (d *Desk) Release(ctx context.Context, l queue.Lease) error {
	err := d.queue.Release(ctx, l)
	d.ended(l, err, func(t *tally, _ time.Duration) { t.gone++ })
	return err
}

// ended lets go of what l was the lease of, if err says that its attempt is over: how counts it. A lease that was lost before is
// a failed attempt, whatever it would have come to.
func (d *Desk) ended(l queue.Lease, err error, how func(*tally, time.Duration)) {
	if err != nil && !errors.Is(err, queue.ErrLeaseLost) {
		return
	}
	now := time.Now()
	d.mu.Lock()
	defer d.mu.Unlock()
	h := d.held[l.ID]
	if h == nil || h.lease.Attempt != l.Attempt {
		return
	}
	delete(d.held, l.ID)
	if !h.count {
		return
	}
	if err != nil {
		how = func(t *tally, took time.Duration) { t.over(took, true) }
	}
	how(d.tallies.of(h.key, now), now.Sub(h.since))
}

// Known reports whether what instances held before this desk began has been read: until then nobody may conclude from Held that they
// hold nothing.
func (d *Desk) Known() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.known
}

// Held is how many jobs instances have in hand.
func (d *Desk) Held() map[semper.InstanceID]int {
	d.mu.Lock()
	defer d.mu.Unlock()
	out := make(map[semper.InstanceID]int)
	for _, h := range d.held {
		out[h.who]++
	}
	return out
}

// Counts are what the sides of a trial have come to, as the queue process called edge tells it.
func (d *Desk) Counts(edge string) []semper.ArmCounts {
	d.mu.Lock()
	defer d.mu.Unlock()
	current := func(k tallyKey) bool {
		for _, s := range d.plan.sides {
			if d.plan.key(s) == k {
				return true
			}
		}
		return false
	}
	return d.tallies.counts(edge, d.service, current, time.Now())
}
