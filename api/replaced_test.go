package api_test

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"semper"
	"semper/api"
)

// relay stands between client and server on a socket of its own; tests break it at will.
type relay struct {
	path string
	to   string
	mu   sync.Mutex // guards the following
	open map[net.Conn]bool
	cut  int // connections still to be broken right after their first bytes
	l    net.Listener
	wg   sync.WaitGroup
}

func newRelay(t *testing.T, c *api.Client) *relay {
	t.Helper()
	dir, err := os.MkdirTemp("", "s")
	if err != nil {
		t.Fatal(err)
	}
	r := &relay{path: filepath.Join(dir, "r.sock"), to: strings.TrimPrefix(c.Host(), "unix://"), open: map[net.Conn]bool{}}
	r.listen(t)
	t.Cleanup(func() {
		r.close()
		r.wg.Wait()
		_ = os.RemoveAll(dir)
	})
	return r
}

func (r *relay) client(t *testing.T, o api.ClientOptions) *api.Client {
	t.Helper()
	c, err := api.NewClient("unix://"+r.path, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

func (r *relay) listen(t *testing.T) {
	l, err := net.Listen("unix", r.path)
	if err != nil {
		t.Error(err)
		return
	}
	r.mu.Lock()
	r.l = l
	r.mu.Unlock()
	r.wg.Go(func() {
		for {
			in, err := l.Accept()
			if err != nil {
				return
			}
			r.wg.Go(func() { r.carry(in) })
		}
	})
}

func (r *relay) carry(in net.Conn) {
	defer in.Close() //nolint:errcheck // a test's relay
	r.mu.Lock()
	if r.cut > 0 {
		r.cut--
		r.mu.Unlock()
		_, _ = in.Read(make([]byte, 1)) // the request has begun; its answer never will
		return
	}
	out, err := net.Dial("unix", r.to)
	if err != nil {
		r.mu.Unlock()
		return
	}
	defer out.Close() //nolint:errcheck // a test's relay
	r.open[in], r.open[out] = true, true
	r.mu.Unlock()
	var both sync.WaitGroup
	for _, d := range [][2]net.Conn{{in, out}, {out, in}} {
		both.Go(func() {
			buf := make([]byte, 4096)
			for {
				n, err := d[0].Read(buf)
				if n > 0 {
					_, _ = d[1].Write(buf[:n])
				}
				if err != nil {
					_ = in.Close()
					_ = out.Close()
					return
				}
			}
		})
	}
	both.Wait()
}

// breakNow ends every connection there is.
func (r *relay) breakNow() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for c := range r.open {
		_ = c.Close()
	}
	clear(r.open)
}

func (r *relay) close() {
	r.mu.Lock()
	_ = r.l.Close()
	r.mu.Unlock()
	r.breakNow()
}

func (r *relay) cutNext(n int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.cut = n
}

func TestBrokenConnection(t *testing.T) {
	t.Parallel()
	s := fresh(t)
	r := newRelay(t, overUnix(t, s, api.ServerOptions{}))
	c := r.client(t, api.ClientOptions{})

	r.cutNext(3)
	if _, err := c.Info(t.Context()); err != nil {
		t.Errorf("a read is not repeated: %v", err)
	}
	d := upload(t, c, "one")
	r.breakNow()
	c.Close() // no idle connection is left, so the next call meets the cut
	r.cutNext(1)
	if err := c.PutArtifact(t.Context(), d, strings.NewReader("one")); err != nil {
		t.Errorf("an upload is not repeated: %v", err)
	}
	r.breakNow()
	c.Close()
	r.cutNext(1)
	_, err := c.Deploy(t.Context(), api.DeployRequest{Spec: spec(1), Artifact: d})
	if semper.CodeOf(err) != semper.Internal || !strings.Contains(semper.HintOf(err), "may or may not have been done") {
		t.Errorf("a deploy whose answer was lost: %v (%s)", err, semper.HintOf(err))
	}
}

func TestNoServer(t *testing.T) {
	t.Parallel()
	s := fresh(t)
	r := newRelay(t, overUnix(t, s, api.ServerOptions{}))
	r.close()
	c := r.client(t, api.ClientOptions{Patience: time.Hour}) // would hang if it were used
	_, err := c.Info(t.Context())
	if semper.CodeOf(err) != semper.Unavailable || semper.HintOf(err) != "start one: semper server run" ||
		!strings.HasPrefix(err.Error(), "no semper server at unix://"+r.path+": ") {
		t.Errorf("error = %v (%s)", err, semper.HintOf(err))
	}
}

func TestReplacedServerIsWaitedFor(t *testing.T) {
	t.Parallel()
	s := fresh(t)
	r := newRelay(t, overUnix(t, s, api.ServerOptions{}))
	waited := make(chan error, 1)
	c := r.client(t, api.ClientOptions{Patience: time.Minute, Waiting: func(why error) { waited <- why }})
	if _, err := c.Info(t.Context()); err != nil {
		t.Fatal(err)
	}
	r.close()
	r.wg.Go(func() {
		<-waited
		r.listen(t)
	})
	if _, err := c.Scale(t.Context(), "none", "", nil, ""); semper.CodeOf(err) != semper.NotFound {
		t.Errorf("after the replacement: %v", err)
	}
}

func TestUnavailableIsWaitedFor(t *testing.T) {
	t.Parallel()
	s := fresh(t)
	d := upload(t, s, "one")
	s.Down(&semper.Error{Code: semper.Unavailable, Message: "the control process is starting"})
	up := overUnix(t, s, api.ServerOptions{})
	var asked atomic.Int32
	c, err := api.NewClient(up.Host(), api.ClientOptions{Patience: time.Minute, Waiting: func(error) { asked.Add(1); s.Down(nil) }})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := c.Deploy(t.Context(), api.DeployRequest{Spec: spec(1), Artifact: d}); err != nil || asked.Load() != 1 {
		t.Errorf("deploy: %v after %d notices", err, asked.Load())
	}
}

func TestPatienceEnds(t *testing.T) {
	t.Parallel()
	s := fresh(t)
	s.Down(&semper.Error{Code: semper.Unavailable, Message: "the store is away"})
	up := overUnix(t, s, api.ServerOptions{})
	c, err := api.NewClient(up.Host(), api.ClientOptions{Patience: time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := c.Info(t.Context()); err == nil || err.Error() != "the store is away" {
		t.Errorf("error = %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := c.Info(ctx); err == nil || ctx.Err() == nil {
		t.Errorf("a cancelled call: %v", err)
	}
}

// TestFollowedEventsSurvive: every event exactly once, in order, over broken connections.
func TestFollowedEventsSurvive(t *testing.T) {
	t.Parallel()
	s := fresh(t)
	live(t, s, deploy(t, s, "one", 1))
	r := newRelay(t, overUnix(t, s, api.ServerOptions{}))
	c := r.client(t, api.ClientOptions{})
	ctx, cancel := context.WithCancel(t.Context())
	events, err := c.Events(ctx, "bar", 0, true)
	if err != nil {
		t.Fatal(err)
	}
	want := int64(0)
	for e := range events {
		want++
		if e.Seq != want {
			t.Fatalf("event %d came, not %d", e.Seq, want)
		}
		switch e.Seq {
		case 3, 5:
			r.breakNow()
		case 6: // the last there is
			r.breakNow()
			if _, err := s.Hold(t.Context(), "bar", "", api.HoldRequest{Writes: false, By: ""}); err != nil {
				t.Fatal(err)
			}
		case 7:
			cancel()
		}
	}
	if want < 7 {
		t.Errorf("the stream ended after %d events", want)
	}
	cancel()
}

func TestWaitRolloutSurvives(t *testing.T) {
	t.Parallel()
	s := fresh(t)
	s.Stall(semper.RolloutReady)
	ro := deploy(t, s, "one", 1)
	began := make(chan struct{}, 8)
	r := newRelay(t, overUnix(t, waiting{s, began}, api.ServerOptions{}))
	c := r.client(t, api.ClientOptions{})
	r.wg.Go(func() {
		<-began
		r.breakNow()
		<-began // by the repeated request
		s.Stall(semper.RolloutWatch)
	})
	got, err := c.WaitRollout(t.Context(), "bar", "", ro.ID, "live")
	if err != nil || !got.State.Live() {
		t.Errorf("WaitRollout = %v, %v", got.State, err)
	}
}

// waiting tells of each WaitRollout that has begun.
type waiting struct {
	api.Service
	began chan struct{}
}

func (w waiting) WaitRollout(ctx context.Context, app, env, id, until string) (semper.Rollout, error) {
	w.began <- struct{}{}
	return w.Service.WaitRollout(ctx, app, env, id, until)
}

// TestFollowedLogsSurvive: every line once, over broken connections.
func TestFollowedLogsSurvive(t *testing.T) {
	t.Parallel()
	s := fresh(t)
	live(t, s, deploy(t, s, "one", 1))
	r := newRelay(t, overUnix(t, s, api.ServerOptions{}))
	c := r.client(t, api.ClientOptions{})
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	s.Print("bar/web.r1.1", "r1", "line 1")
	logs, err := c.Logs(ctx, api.LogQuery{App: "bar", Follow: true})
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for l := range logs {
		n++
		if want := fmt.Sprint("line ", n); l.Line != want {
			t.Fatalf("%q came, not %q", l.Line, want)
		}
		if n == 6 {
			cancel()
			break
		}
		if n%2 == 0 {
			r.breakNow()
		}
		s.Print("bar/web.r1.1", "r1", fmt.Sprint("line ", n+1))
	}
	for range logs { // until the client has ended
	}
}
