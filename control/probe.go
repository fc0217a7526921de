package control

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strings"
	"syscall"
	"time"

	"semper"
	"semper/control/ask"
	"semper/internal/pause"
	"semper/supervise"
)

// probe starts the prober of in's present incarnation. The model hears only of changes. A prober that panics is started
// again, and tells all it finds.
func (m *model) probe(c *Control, in *instance) {
	ended, end := context.WithCancel(context.Background())
	in.stopProbe = end
	s, h, ready, again := in.status, m.hands, in.ready, false
	err := h.do(supervise.ChildSpec{
		ID: "probe " + string(s.Spec.ID), Restart: supervise.Transient, Shutdown: supervise.Infinity, Backoff: probeBackoff,
		Start: supervise.Serve(func(ctx context.Context) error {
			ctx, cancel := context.WithCancel(ctx)
			defer cancel()
			defer context.AfterFunc(ended, cancel)()
			p := newProber(c, h, in, s, ready)
			p.untold, again = again, true
			defer func() { ready = p.ready }()
			if ended.Err() == nil {
				p.run(ctx)
			}
			return nil
		}),
	})
	if err != nil { // the term is ending
		end()
		c.o.Log.Debug("not probed", "instance", s.Spec.ID, "error", err)
	}
}

// probeBackoff spaces out the restarts of a prober that panics.
var probeBackoff = supervise.Backoff{Min: 250 * time.Millisecond, Max: 10 * time.Second, Factor: 2, Reset: time.Minute}

// prober checks one incarnation. Its goroutine owns it.
type prober struct {
	c        *Control
	hands    hands
	in       *instance // the model's; only compared, by the model
	s        semper.InstanceStatus
	ready    bool
	why      string
	untold   bool // what the model believes is not known
	failures int
	dead     int // consecutive failures of the liveness check
	// announced says that the keeper was told that it is ready.
	announced bool
	http      *http.Transport
	looked    time.Time // when listens was read
	listens   []string  // what the process takes connections on
}

// lookEvery is how far apart two looks at what a process listens on are. Each reads the machine's whole table of
// connections, which takes longer than a check does; before the first, most programs have come up.
const lookEvery = time.Second

func newProber(c *Control, h hands, in *instance, s semper.InstanceStatus, ready bool) *prober {
	t := &http.Transport{
		DialContext:       func(ctx context.Context, _, _ string) (net.Conn, error) { return ask.Dial(ctx, s.Address) },
		DisableKeepAlives: true, // each check asks whether a new connection is taken
	}
	if s.Spec.Spec.Protocol == semper.ProtocolH2C {
		t.Protocols = new(http.Protocols)
		t.Protocols.SetUnencryptedHTTP2(true)
	}
	return &prober{c: c, hands: h, in: in, s: s, ready: ready, http: t}
}

func (p *prober) run(ctx context.Context) {
	h := p.s.Spec.Spec.Health
	switch h.Kind {
	case semper.HealthNone:
		if pause.For(ctx, readyAfter-time.Since(p.s.StartedAt)) {
			p.report(ctx, true, "")
			p.live(ctx)
		}
		return
	case semper.HealthNotify:
		if !p.s.Notified {
			p.report(ctx, false, unnotified(p.s.Spec.Spec))
		} else {
			p.report(ctx, true, "")
		}
		p.live(ctx)
		return
	}
	delay := 2 * time.Millisecond // quick at first: the app may be up in no time
	lastLive := time.Now()
	for {
		p.take(ctx, h, p.check(ctx, h))
		if ctx.Err() != nil {
			return
		}
		if l := p.s.Spec.Spec.Liveness; l != nil && p.ready && time.Since(lastLive) >= l.Interval.D() {
			lastLive = time.Now()
			p.alive(ctx, *l)
		}
		if p.ready && p.failures == 0 {
			delay = h.Interval.D()
		} else {
			delay = min(delay*3/2+time.Millisecond, 250*time.Millisecond, h.Interval.D())
		}
		if !pause.For(ctx, delay) {
			return
		}
	}
}

// unnotified says what a service has not done yet whose own word makes it ready.
func unnotified(s semper.Service) string {
	if s.Pulls() {
		return "it has not asked for a job on SEMPER_QUEUE yet"
	}
	return "it has not sent READY=1 to NOTIFY_SOCKET yet"
}

// live runs the liveness check where readiness needs no prober.
func (p *prober) live(ctx context.Context) {
	l := p.s.Spec.Spec.Liveness
	if l == nil {
		return
	}
	for pause.For(ctx, l.Interval.D()) {
		p.alive(ctx, *l)
	}
}

// take counts the result of a readiness check.
func (p *prober) take(ctx context.Context, h semper.Health, err error) {
	switch {
	case ctx.Err() != nil:
	case err == nil:
		p.failures = 0
		p.report(ctx, true, "")
	default:
		p.failures++
		if !p.ready || p.failures >= h.Failures {
			p.report(ctx, false, p.explain(h, err))
		}
	}
}

// report tells the model when something changed.
func (p *prober) report(ctx context.Context, ready bool, why string) {
	if ready == p.ready && why == p.why && !p.untold {
		return
	}
	if ready && !p.announced {
		p.announce(ctx)
	}
	p.ready, p.why, p.untold = ready, why, false
	in, incarnation := p.in, p.s.Incarnation
	p.hands.tell(ctx, "health of "+string(p.s.Spec.ID), func(m *model) {
		if m.instances[in.status.Spec.ID] != in || in.status.Incarnation != incarnation || in.status.State != semper.Starting {
			return
		}
		if in.status.Notified && !ready {
			return // the word came while this was on its way
		}
		in.ready, in.why = ready, why
		in.was = in.was || ready
	})
}

// announce has the keeper give the instance its full share of the processors before the first request is sent to it. Where the
// keeper cannot be told, it does so by itself in time. Of who sends READY=1 it knows first.
func (p *prober) announce(ctx context.Context) {
	p.announced = true
	if p.s.Spec.Spec.Health.Kind == semper.HealthNotify {
		return
	}
	if err := p.c.o.Keeper.Ready(ctx, p.s.Spec.ID, p.s.Incarnation); err != nil {
		p.c.o.Log.Debug("the keeper was not told that an instance is ready", "instance", p.s.Spec.ID, "error", err)
	}
}

// alive kills an incarnation whose liveness check keeps failing; its supervisor does the rest.
func (p *prober) alive(ctx context.Context, l semper.Health) {
	err := p.check(ctx, l)
	if ctx.Err() != nil {
		return
	}
	if err == nil {
		p.dead = 0
		return
	}
	p.dead++
	if p.dead < l.Failures {
		return
	}
	p.dead = 0
	why := fmt.Sprintf("%d times in a row: %v", l.Failures, err)
	if err := p.c.o.Keeper.Kill(ctx, p.s.Spec.ID, semper.Reason{Kind: semper.ReasonHealth, Detail: why}); err != nil {
		p.c.o.Log.Warn("unhealthy instance not killed", "instance", p.s.Spec.ID, "error", err)
	}
}

// check looks once.
func (p *prober) check(ctx context.Context, h semper.Health) error {
	ctx, cancel := context.WithTimeout(ctx, h.Timeout.D())
	defer cancel()
	switch h.Kind {
	case semper.HealthHTTP:
		return ask.HTTP(ctx, p.http, http.MethodGet, h.Path, "semper-health")
	case semper.HealthTCP:
		conn, err := ask.Dial(ctx, p.s.Address)
		if err != nil {
			return err
		}
		return conn.Close()
	case semper.HealthExec:
		return ask.Exec(ctx, p.c.o.Keeper, p.s.Spec.ID, h.Exec, h.Timeout.D())
	}
	return nil
}

// explain says what a failed check means to the person who wrote the app.
func (p *prober) explain(h semper.Health, err error) string {
	what := string(h.Kind)
	if h.Kind == semper.HealthHTTP {
		what = "GET " + h.Path
	}
	var why string
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		why = fmt.Sprintf("no answer within %s", h.Timeout)
	case errors.Is(err, syscall.ECONNREFUSED), errors.Is(err, syscall.ENOENT):
		why = "nothing listens on " + p.s.Address
		if other := p.listening(h, time.Now()); len(other) > 0 && !slices.Contains(other, p.s.Address) {
			name := "PORT"
			if p.s.Spec.Spec.Listen == semper.ListenSocket {
				name = "SOCKET"
			}
			why += fmt.Sprintf("; the process listens on %s: does it read $%s?", strings.Join(other, ", "), name)
		}
	default:
		why = err.Error()
	}
	return what + ": " + why
}

// listening is where the process takes connections, as of the last look; nil before the first, and where none could be
// had. A start that has to be short still gets its look before it is given up.
func (p *prober) listening(h semper.Health, now time.Time) []string {
	if now.Sub(p.s.StartedAt) < min(lookEvery, h.Grace.D()/2) || now.Sub(p.looked) < lookEvery {
		return p.listens
	}
	p.looked, p.listens = now, nil
	if found, err := p.c.o.Machine.Listening(p.s.PID); err == nil {
		p.listens = found
	}
	return p.listens
}
