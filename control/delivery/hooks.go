package delivery

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"semper"
	"semper/api"
	"semper/webhook"
)

// A Hook is how far a webhook has come in the event log, which is its queue: what is to be sent outlives this process, is bounded as the log is, and
// costs no write where nobody is told.
type Hook struct {
	ID     string    `json:"id"`
	App    string    `json:"app"`
	URL    string    `json:"url"`
	Seq    int64     `json:"seq"` // of the newest event that was sent, skipped or given up
	Missed int64     `json:"missed,omitempty"`
	Fails  int       `json:"fails,omitempty"` // in a row
	Error  string    `json:"error,omitempty"`
	Next   time.Time `json:"next,omitzero"`
	Gone   bool      `json:"gone,omitempty"` // the receiver wants no more
}

const (
	hookBatch = 20  // events sent before the cursor is stored
	hookSkip  = 500 // events skipped before it is
)

func hookID(app string, w semper.Webhook) string {
	return app + "." + semper.DigestOf([]byte(w.URL)).Short()
}

func (d *Desk) hookList() map[string]Hook {
	out := make(map[string]Hook, len(d.hooks))
	for id, h := range d.hooks {
		out[id] = h.value
	}
	return out
}

// webhooks says how it stands with those of a pipeline.
func (v *View) webhooks(p semper.Pipeline, events []semper.Event) []api.WebhookStatus {
	var out []api.WebhookStatus
	for _, w := range p.Webhooks {
		h := v.hooks[hookID(p.App, w)]
		s := api.WebhookStatus{URL: w.URL, Seq: h.Seq, Missed: h.Missed, Fails: h.Fails, Error: h.Error, Next: h.Next, Gone: h.Gone}
		for _, e := range events {
			if e.Seq > h.Seq && told(p.App, w, e) {
				s.Behind++
			}
		}
		out = append(out, s)
	}
	return out
}

// told reports whether a webhook of an app is told an event. What is told of webhooks is in the log only: it would be told for ever.
func told(app string, w semper.Webhook, e semper.Event) bool {
	if e.App != app && e.App != "" || strings.HasPrefix(e.Kind, "webhook.") || strings.HasPrefix(e.Kind, "user.") {
		return false
	}
	return len(w.Events) == 0 || slices.ContainsFunc(w.Events, func(kind string) bool {
		begin, all := strings.CutSuffix(kind, "*")
		return e.Kind == kind || all && strings.HasPrefix(e.Kind, begin)
	})
}

// tendHooks gives each webhook in force a cursor, from which events on it is told, and takes those away that are in force no more.
func (d *Desk) tendHooks(o Office, c *Change) {
	inForce := map[string]bool{}
	for _, p := range d.records.Policies() {
		for _, w := range p.Webhooks {
			id := hookID(p.App, w)
			if _, known := d.hooks[id]; !known && !inForce[id] {
				c.setHook(Hook{ID: id, App: p.App, URL: w.URL, Seq: o.LastEvent()})
			}
			inForce[id] = true
		}
	}
	for id, h := range d.hooks {
		if !inForce[id] {
			c.also(semper.Condition{Key: preHook + id, Version: h.version}, semper.Write{Key: preHook + id, Delete: true}, func(int64) { delete(d.hooks, id) })
		}
	}
}

func (c *Change) setHook(h Hook) {
	b, err := json.Marshal(h)
	if err != nil {
		return // plain values always marshal
	}
	c.also(semper.Condition{Key: preHook + h.ID, Version: c.desk.hooks[h.ID].version}, semper.Write{Key: preHook + h.ID, Value: b},
		func(rev int64) { c.desk.hooks[h.ID] = stored[Hook]{h, rev} })
}

// A Telling is what one webhook is to be told now.
type Telling struct {
	ID      string // of the hook
	webhook semper.Webhook
	hook    Hook
	due     []semper.Event
	to      int64 // the cursor once they are told
	missed  int64 // events that have left the log untold
}

// Tellings are what webhooks are behind with, given the newest events, the oldest first, and when to look again for those that are tried again later. busy are
// hooks that are being told.
func (d *Desk) Tellings(now time.Time, events []semper.Event, busy func(id string) bool) (out []Telling, next time.Time) {
	for _, p := range d.records.Policies() {
		for _, w := range p.Webhooks {
			h, known := d.hooks[hookID(p.App, w)]
			if !known || h.value.Gone || busy(h.value.ID) {
				continue
			}
			if at := h.value.Next; now.Before(at) && at.Sub(now) <= time.Hour { // a clock set back does not silence anybody
				if next.IsZero() || at.Before(next) {
					next = at
				}
				continue
			}
			due, to, missed := due(p.App, w, h.value, events)
			if len(due) > 0 || missed > 0 || to-h.value.Seq >= hookSkip {
				out = append(out, Telling{h.value.ID, w, h.value, due, to, missed})
			}
		}
	}
	return out, next
}

// due are the next events a webhook is to be told, the number up to which that is all, and how many have left the log untold.
func due(app string, w semper.Webhook, h Hook, events []semper.Event) (due []semper.Event, to, missed int64) {
	to = h.Seq
	for _, e := range events {
		switch {
		case e.Seq <= h.Seq:
			continue
		case to == h.Seq && e.Seq > h.Seq+1:
			missed = e.Seq - h.Seq - 1
		}
		if told(app, w, e) {
			if due = append(due, e); len(due) == hookBatch {
				return due, e.Seq, missed
			}
		}
		to = e.Seq
	}
	return due, to, missed
}

// message is an event as Standard Webhooks would have it.
func message(e semper.Event) (webhook.Message, error) {
	body, err := json.Marshal(struct {
		Type      string       `json:"type"`
		Timestamp time.Time    `json:"timestamp"`
		Data      semper.Event `json:"data"`
	}{e.Kind, e.At, e})
	return webhook.Message{ID: fmt.Sprintf("evt_%d_%d", e.Seq, e.At.UnixNano()), Body: body}, err
}

// Send sends events in their order until one does not go through, and says how far it came.
// secret gives the value of a secret of an app.
func (t Telling) Send(ctx context.Context, secret func(app, name string) ([]byte, error)) Hook {
	w, h, client := t.webhook, t.hook, webhook.Client(t.webhook.Internal)
	h.Missed += t.missed
	fail := func(err error) Hook {
		h.Fails++
		h.Error = err.Error()
		h.Next = time.Now().Add(webhook.Next(h.Fails, rand.New(rand.NewPCG(rand.Uint64(), rand.Uint64())))) //nolint:gosec // jitter
		return h
	}
	value, err := secret(h.App, w.Secret)
	var key []byte
	if err == nil {
		key, err = webhook.Key(value)
	}
	if err != nil {
		return fail(fmt.Errorf("secret %s: %w", w.Secret, err))
	}
	for _, e := range t.due {
		m, err := message(e)
		if err == nil {
			var gone bool
			if gone, err = webhook.Send(ctx, client, w.URL, key, m, time.Now()); gone {
				h.Gone = true
				return fail(err)
			}
		}
		switch {
		case ctx.Err() != nil:
			return h // the term ends: the next sends it
		case err != nil && time.Since(e.At) < webhook.KeepTrying:
			return fail(err)
		case err != nil:
			h.Missed++
		}
		h.Seq, h.Fails, h.Error, h.Next = e.Seq, 0, "", time.Time{}
	}
	h.Seq = t.to
	return h
}

// Told takes in how far a webhook has come.
func (d *Desk) Told(o Office, c *Change, h Hook) {
	old, known := d.hooks[h.ID]
	if !known {
		return
	}
	switch {
	case h.Gone:
		o.Tell(semper.Event{At: o.Now(), Kind: "webhook.gone", App: h.App, Message: h.URL + " wants no more events (410); a change of the webhook's URL begins anew"})
	case h.Missed > old.value.Missed:
		o.Tell(semper.Event{At: o.Now(), Kind: "webhook.missed", App: h.App, Message: fmt.Sprintf("%s was not told %d events, which were given up", h.URL, h.Missed-old.value.Missed)})
	case h.Fails == 1:
		o.Tell(semper.Event{At: o.Now(), Kind: "webhook.failed", App: h.App, Message: fmt.Sprintf("%s cannot be told of events; trying again: %s", h.URL, h.Error)})
	}
	c.setHook(h)
}
