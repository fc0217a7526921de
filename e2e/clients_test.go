package e2e_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// A written is what a client was told of its write.
type written struct {
	value   int
	release string
}

// told is what all clients were told.
type told struct {
	written map[string]written // by token
	reads   int
	failed  []string
	longest time.Duration // of one request
}

// clients are those that write and clients that read what was written, each one request after another.
type clients struct {
	t      *testing.T
	url    string
	client *http.Client
	stop   context.CancelFunc
	wg     sync.WaitGroup
	reads  atomic.Int64
	writes atomic.Int64

	mu     sync.Mutex // guards the following
	told   told
	tokens []string // of all that is written
}

const (
	ledgerWriters = 4
	ledgerReaders = 4
	ledgerPace    = 4 * time.Millisecond // between the requests of a client, so that others find a processor
)

// book begins to write and read entries until end, or the end of t.
func (s *server) book(t *testing.T) *clients {
	t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	transport := &http.Transport{MaxIdleConnsPerHost: ledgerWriters + ledgerReaders}
	l := &clients{
		t: t, url: "http://" + s.http + "/entries/", stop: stop,
		client: &http.Client{Timeout: time.Minute, Transport: transport},
		told:   told{written: make(map[string]written)},
	}
	for n := range ledgerWriters {
		l.wg.Go(func() { l.paced(ctx, func(i int) { l.write(fmt.Sprintf("w%d-%d", n, i), n*1_000_000+i) }) })
	}
	for n := range ledgerReaders {
		l.wg.Go(func() { l.paced(ctx, func(i int) { l.read(i*7 + n) }) })
	}
	t.Cleanup(func() { l.end(); transport.CloseIdleConnections() })
	l.goesOn()
	return l
}

func (l *clients) paced(ctx context.Context, f func(int)) {
	tick := time.NewTicker(ledgerPace)
	defer tick.Stop()
	for i := 0; ; i++ {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			f(i) // to its end, so that what it is told counts
		}
	}
}

func (l *clients) write(token string, value int) {
	var answer struct{ Release string }
	if l.exchange(http.MethodPost, l.url, fmt.Sprintf(`{"token": %q, "value": %d}`, token, value), http.StatusCreated, &answer) {
		l.mu.Lock()
		l.told.written[token] = written{value, answer.Release}
		l.tokens = append(l.tokens, token)
		l.mu.Unlock()
		l.writes.Add(1)
	}
}

// read asks for an entry that was told to be written.
func (l *clients) read(i int) {
	l.mu.Lock()
	if len(l.tokens) == 0 {
		l.mu.Unlock()
		return
	}
	token := l.tokens[i%len(l.tokens)]
	want := l.told.written[token].value
	l.mu.Unlock()
	var answer struct{ Values []int }
	if !l.exchange(http.MethodGet, l.url+token, "", http.StatusOK, &answer) {
		return
	}
	if len(answer.Values) != 1 || answer.Values[0] != want {
		l.fail("%s reads as %v, and %d was written", token, answer.Values, want)
	}
	l.reads.Add(1)
}

// exchange makes one request, without a second attempt, and reports whether it was answered as wanted.
func (l *clients) exchange(method, url, body string, want int, answer any) bool {
	began := time.Now()
	req, err := http.NewRequest(method, url, io.NopCloser(strings.NewReader(body))) // a body that no client can send again
	if err != nil {
		l.fail("%v", err)
		return false
	}
	if req.ContentLength = int64(len(body)); body == "" {
		req.Body = nil
	}
	resp, err := l.client.Do(req)
	if err != nil {
		l.fail("%s: %v", method, err)
		return false
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode == want {
		err = json.Unmarshal(b, answer)
	}
	if err != nil || resp.StatusCode != want {
		l.fail("%s: %s %v: %.200s", method, resp.Status, err, b)
		return false
	}
	l.mu.Lock()
	l.told.longest = max(l.told.longest, time.Since(began))
	l.mu.Unlock()
	return true
}

func (l *clients) fail(format string, args ...any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.told.failed = append(l.told.failed, fmt.Sprintf(format, args...))
}

// goesOn waits until clients have written and read more.
func (l *clients) goesOn() {
	l.t.Helper()
	after := l.writes.Load()
	l.readsGoOn()
	eventually(l.t, "more is written", func() bool { return l.writes.Load() >= after+10*ledgerWriters })
}

// readsGoOn waits until clients have read more.
func (l *clients) readsGoOn() {
	l.t.Helper()
	after := l.reads.Load()
	eventually(l.t, "more is read", func() bool { return l.reads.Load() >= after+20*ledgerReaders })
}

// end stops all clients, each after its last answer, and says what they were told.
func (l *clients) end() told {
	l.stop()
	l.wg.Wait()
	l.mu.Lock()
	defer l.mu.Unlock()
	l.told.reads = int(l.reads.Load())
	return l.told
}
