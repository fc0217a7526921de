package actor

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"
)

// A CrashReport is everything known about the abnormal end of a process. State and messages are texts, made by the
// Redactor of the Server, or with %+v when it has none, and cut at reportText bytes.
type CrashReport struct {
	At          time.Time
	PID         PID
	Label       string
	Reason      Reason
	LastMessage string   // what was being handled; empty when nothing was
	State       string   // the Server
	Mailbox     int      // messages that waited
	Waiting     []string // the first of them
	Messages    uint64   // handled before
	Uptime      time.Duration
	Ancestors   []string // who started it, nearest first
	Callers     []string // on whose behalf it was started, when that is not its ancestors: see OnBehalf
	Links       []Info   // its linked neighbours, as they were before they were told
	Stack       string   // of a panic
}

const (
	reportText     = 4096 // bytes of a state or of a message in a report
	reportMessages = 10   // messages of the mailbox in a report
)

// A Reporter takes crash reports. It is called by the goroutine of the process that ends, before anyone is told of the
// end, and must not block.
type Reporter func(CrashReport)

type reporterKey struct{}

// WithReporter makes f take the crash reports of all that is started with the context, and of what those start in turn.
// Without it they go to log/slog. A nil f turns them off: then none is made, unless somebody attends to [EventCrash].
func WithReporter(ctx context.Context, f Reporter) context.Context {
	return context.WithValue(ctx, reporterKey{}, f)
}

// report makes the crash report; its goroutine only. It is delivered also when a Redactor ends the goroutine.
func (s *Self[M]) report(r Reason) {
	if f, set := s.base.Value(reporterKey{}).(Reporter); set && f == nil && !EventCrash.Listening() {
		return
	}
	s.describe(r)
}

func (s *Self[M]) describe(r Reason) {
	c := CrashReport{
		At: time.Now(), PID: s.PID(), Label: s.label, Reason: r, Uptime: time.Since(s.since), Ancestors: s.kin.names(),
		Callers: s.callers(),
	}
	defer func() { s.deliverReport(c) }()
	var broken *PanicError
	if errors.As(r.Err, &broken) {
		c.Stack = string(broken.Stack)
	}
	for _, other := range s.linked() {
		c.Links = append(c.Links, PID{other}.Info())
	}
	s.mu.Lock()
	rest := s.batch[s.at:]
	c.Messages, c.Mailbox = s.handled+uint64(s.at), s.box.len()+len(rest)
	next := slices.Clone(rest[:min(len(rest), reportMessages)])
	for e := range s.box.all {
		if len(next) == reportMessages {
			break
		}
		next = append(next, *e)
	}
	var inHand *envelope[M]
	if s.at > 0 {
		c.Messages--
		inHand = &s.batch[s.at-1]
	}
	s.mu.Unlock()
	if inHand != nil {
		c.LastMessage = s.showEnvelope(*inHand)
	}
	c.State = s.show(s.server)
	for _, e := range next {
		c.Waiting = append(c.Waiting, s.showEnvelope(e))
	}
}

// deliverReport hands a report to its Reporter. When there is none, or it is broken, the report goes to log/slog.
func (s *Self[M]) deliverReport(c CrashReport) {
	s.tellCrash(c)
	f, set := s.base.Value(reporterKey{}).(Reporter)
	switch {
	case set && f == nil:
		return
	case !set:
		c.log()
		return
	}
	defer func() {
		if v := recover(); v != nil {
			slog.Error("a reporter of crashes panicked: its report follows", "panic", v)
			c.log()
		}
	}()
	f(c)
}

func (s *Self[M]) showEnvelope(e envelope[M]) string {
	if e.x != nil && e.x.info != nil {
		return s.show(e.x.info)
	}
	return s.show(e.m)
}

// show is a text for people.
func (s *Self[M]) show(what any) (text string) {
	defer func() {
		if v := recover(); v != nil {
			text = fmt.Sprintf("(cannot be shown: panic: %v)", v)
		}
	}()
	if r, ok := s.server.(Redactor); ok {
		what = r.Redact(what)
	}
	text = fmt.Sprintf("%+v", what)
	if len(text) > reportText {
		text = strings.ToValidUTF8(text[:reportText], "") + fmt.Sprintf("… (%d bytes)", len(text))
	}
	return text
}

func (c CrashReport) log() {
	slog.Error("process crashed", "process", c.PID.String(), "reason", c.Reason.String(), "last_message", c.LastMessage,
		"mailbox", c.Mailbox, "messages", c.Messages, "uptime", c.Uptime, "ancestors", c.Ancestors,
		"callers", c.Callers, "stack", c.Stack)
}
