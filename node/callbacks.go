package node

import (
	"context"
	"fmt"
	"sync"

	"semper"
	"semper/queue"
	"semper/queue/accept"
	"semper/queue/callback"
	"semper/queue/dispatch"
	"semper/webhook"
)

// allows is where clients of a service may be told how their requests ended.
func allows(s queue.Settings) func(url string) error {
	if s.Callbacks == nil {
		return nil
	}
	return callback.RulesOf(s.Callbacks).URL
}

// callLocked has the clients of d's service told how their jobs end, where its settings say so, and nobody where they do not:
// ends stay remembered then.
func (c *clerk) callLocked(ctx context.Context, wg *sync.WaitGroup, key semper.PoolKey, d *work) error {
	if d.Settings.Callbacks == nil {
		d.hangUp()
		return nil
	}
	if d.call != nil {
		return nil
	}
	service, err := serviceOf(key)
	if err != nil {
		return err
	}
	ends, ok := d.Queue.(queue.Teller)
	if !ok {
		return &semper.Error{Code: semper.Invalid, Op: "callbacks of " + service.String(), Message: "this kind of queue does not remember whose end is to be told", Hint: "use semper's own queue, or remove jobs.callbacks"}
	}
	calls, err := c.engine.Open(ctx, callback.Of(service), callback.Policy())
	if err != nil {
		return err
	}
	calls = c.meter.Watch(callback.Of(service), calls)
	calling, end := context.WithCancel(ctx)
	d.call = end
	log := c.log.With("queue", service.String())
	jobs := d.Queue
	wg.Go(func() { callback.Follow(calling, jobs, ends, calls, log) })
	wg.Go(func() {
		dispatch.Run(calling, calls, dispatch.Options{
			Service: semper.NamePool(service.App, service.Environment, callback.Of(service).Service), Worker: c.id, Log: log, Slots: 64,
			Edge: c.caller(key, service.App), Settings: func() queue.Settings { return queue.Settings{Policy: callback.Policy()} },
		})
	})
	return nil
}

// hangUp has nobody told any more.
func (d *work) hangUp() {
	if d.call != nil {
		d.call()
		d.call = nil
	}
}

// caller sends the callbacks of the service with pool key, by its settings of each moment.
func (c *clerk) caller(key semper.PoolKey, app string) *callback.Transport {
	now := func() queue.Callbacks {
		var d accept.Inbox
		if d, _ = c.inbox(key); d.Settings.Callbacks == nil {
			return queue.Callbacks{} // its last callbacks go to public addresses only, and have no secret
		}
		return *d.Settings.Callbacks
	}
	return &callback.Transport{
		Rules: func() callback.Rules { s := now(); return callback.RulesOf(&s) },
		Key: func() ([]byte, error) {
			name := now().Secret
			value, err := c.Get(app, name)
			if err != nil {
				return nil, err
			}
			signer, err := webhook.Key(value)
			if err != nil {
				return nil, fmt.Errorf("secret %s: %w", name, err)
			}
			return signer, nil
		},
	}
}
