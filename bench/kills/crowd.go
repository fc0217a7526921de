package main

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"time"
)

// A crowd is clients that hand in requests, and what each was told.
type crowd struct {
	url   string
	think time.Duration

	mu       sync.Mutex        // guards what follows
	accepted map[string]string // key by Location
	keys     map[string]string // Location by key
	unheard  int               // answers that were none, or no 202
	findings []string
}

func newCrowd(address string, think time.Duration) *crowd {
	return &crowd{url: "http://" + address, think: think, accepted: map[string]string{}, keys: map[string]string{}}
}

func (c *crowd) find(format string, args ...any) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.findings = append(c.findings, fmt.Sprintf(format, args...))
	say("FOUND: "+format, args...)
}

// count is how many requests are acknowledged.
func (c *crowd) count() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.accepted)
}

// client hands in one request after the other until ctx ends. The last is seen through: it is acknowledged, too.
func (c *crowd) client(ctx, last context.Context, n int, r *rand.Rand) {
	h := &http.Client{Timeout: 15 * time.Second, Transport: &http.Transport{}}
	defer h.CloseIdleConnections()
	for i := 0; ctx.Err() == nil; i++ {
		key := fmt.Sprintf("%d-%d", n, i)
		at := c.handIn(last, h, key)
		if at == "" {
			return
		}
		if r.IntN(10) == 0 { // somebody asks twice
			if again := c.handIn(last, h, key); again != "" && again != at {
				c.find("%s was acknowledged as %s, and again as %s", key, at, again)
			}
		}
		_ = pass(ctx, time.Duration(r.Int64N(int64(2*c.think)+1)))
	}
}

// handIn asks until it is acknowledged, under the same key, and gives the Location; "" when ctx ended before.
func (c *crowd) handIn(ctx context.Context, h *http.Client, key string) string {
	for ctx.Err() == nil {
		at, err := c.post(ctx, h, key)
		if err == nil {
			c.acknowledged(key, at)
			return at
		}
		c.mu.Lock()
		c.unheard++
		c.mu.Unlock()
		_ = pass(ctx, 50*time.Millisecond)
	}
	return ""
}

func (c *crowd) acknowledged(key, at string) {
	c.mu.Lock()
	was, known := c.keys[key]
	other, taken := c.accepted[at]
	if !known {
		c.keys[key], c.accepted[at] = at, key
	}
	c.mu.Unlock()
	if known && was != at {
		c.find("%s is %s, and was %s", key, at, was)
	}
	if taken && other != key {
		c.find("%s was given to %s, and to %s", at, other, key)
	}
}

func (c *crowd) post(ctx context.Context, h *http.Client, key string) (at string, err error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, c.url+"/jobs", strings.NewReader(key))
	if err != nil {
		return "", err
	}
	r.Header.Set("Idempotency-Key", key)
	resp, err := h.Do(r)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close() //nolint:errcheck // what is wanted of it was read
	text, err := io.ReadAll(io.LimitReader(resp.Body, 1<<16))
	if err != nil && resp.StatusCode != http.StatusAccepted {
		return "", err
	}
	if resp.StatusCode != http.StatusAccepted {
		if resp.StatusCode < 500 && resp.StatusCode != http.StatusTooManyRequests {
			c.find("%s: %s %s", key, resp.Status, text)
		}
		return "", fmt.Errorf("%s", resp.Status)
	}
	if at = resp.Header.Get("Location"); at == "" {
		c.find("%s was accepted without a Location", key)
	}
	return at, nil
}
