package dispatch_test

import (
	"io"
	"net/http"
	"net/http/httptrace"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"semper/queue"
)

// slow is a body that gives a byte every so often, n of them, and then nothing until it is closed.
type slow struct {
	r       *http.Request
	n       int
	between time.Duration
}

func (s *slow) Read(p []byte) (int, error) {
	if s.n == 0 {
		return 0, io.EOF
	}
	select {
	case <-s.r.Context().Done():
		return 0, s.r.Context().Err()
	case <-time.After(s.between):
	}
	s.n--
	p[0] = '.'
	return 1, nil
}

func (s *slow) Close() error { return nil }

// An attempt that goes on is left alone, one that does not is given up; either at its longest.
func TestSignsOfLifeExtendALease(t *testing.T) {
	t.Parallel()
	// what takes that many minutes, with a sign of life in each of them
	bytes := func(n int) edge {
		return func(r *http.Request) (*http.Response, error) {
			return &http.Response{StatusCode: 200, Header: http.Header{}, Body: &slow{r, n, time.Minute}}, nil
		}
	}
	interim := func(n int) edge {
		return func(r *http.Request) (*http.Response, error) {
			for range n {
				select {
				case <-time.After(time.Minute):
				case <-r.Context().Done():
					return nil, r.Context().Err()
				}
				if trace := httptrace.ContextClientTrace(r.Context()); trace != nil {
					if err := trace.Got1xxResponse(102, nil); err != nil {
						return nil, err
					}
				}
			}
			return answer(200, ""), nil
		}
	}
	silent := func(n int) edge {
		return func(r *http.Request) (*http.Response, error) {
			select {
			case <-time.After(time.Duration(n) * time.Minute):
				return answer(200, ""), nil
			case <-r.Context().Done():
				return nil, r.Context().Err()
			}
		}
	}
	p := queue.Policy{Lease: 2 * time.Minute, MaxAttempts: 1}
	hour := queue.Settings{Policy: p, Longest: time.Hour}
	alive := queue.Settings{Policy: p, Longest: time.Hour, Alive: true}
	for name, tc := range map[string]struct {
		s     queue.Settings
		e     edge
		state queue.State
		after time.Duration // it ends, about
		why   string
	}{
		"bytes":                         {hour, bytes(20), queue.Done, 20 * time.Minute, ""},
		"interim responses":             {hour, interim(20), queue.Done, 20 * time.Minute, ""},
		"an open connection":            {alive, silent(20), queue.Done, 20 * time.Minute, ""},
		"bytes without end":             {hour, bytes(100), queue.Dead, time.Hour, "no answer within 1h0m0s"},
		"an open connection for ever":   {alive, silent(100), queue.Dead, time.Hour, "no answer within 1h0m0s"},
		"silence":                       {hour, silent(20), queue.Dead, 2 * time.Minute, "no sign of life for 2m0s"},
		"signs that extend nothing":     {queue.Settings{Policy: p}, bytes(20), queue.Dead, 2 * time.Minute, "no answer within 1m58s"},
		"a connection that is not kept": {alive, func(*http.Request) (*http.Response, error) { return nil, io.ErrUnexpectedEOF }, queue.Dead, 0, "unexpected EOF"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				began := time.Now()
				s := run(t, tc.s, tc.e, post)[0]
				if took := time.Since(began); s.State != tc.state || len(s.Attempts) != 1 || took < tc.after-2*time.Second || took > tc.after+time.Second {
					t.Errorf("%s after %s and %d attempts", s.State, took, len(s.Attempts))
				}
				if !strings.Contains(s.Attempts[0].Reason, tc.why) {
					t.Errorf("because %q, not %q", s.Attempts[0].Reason, tc.why)
				}
			})
		})
	}
}

func TestAnswersAreKeptUpToABound(t *testing.T) {
	t.Parallel()
	for size, kept := range map[int]bool{1 << 20: true, 1<<20 + 1: true, 3 << 20: true, 3<<20 + 1: false} {
		t.Run(strconv.Itoa(size), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				requests := make([]queue.Request, 5) // more than may have a large answer in memory, were they not to give their places back
				for i := range requests {
					requests[i] = post
				}
				var asked atomic.Int32
				all := run(t, queue.Settings{MaxAnswer: 3 << 20}, func(*http.Request) (*http.Response, error) {
					asked.Add(1)
					return answer(200, strings.Repeat("x", size)), nil
				}, requests...)
				for _, s := range all {
					if s.State != queue.Done || (len(s.Result.Body) == size) != kept || (s.Result.Header.Get("Semper-Body-Dropped") == "3145728") == kept {
						t.Errorf("%s with %d bytes, %v", s.State, len(s.Result.Body), s.Result.Header)
					}
				}
				if asked.Load() != 5 {
					t.Errorf("asked %d times", asked.Load())
				}
			})
		})
	}
}
