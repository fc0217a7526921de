package observer

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"semper/actor"
	"semper/supervise"
)

// semper is the listening side of a test: a real socket.
type semper struct {
	net.Listener
	path string
}

func listen(t *testing.T, path string) semper {
	t.Helper()
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return semper{l, path}
}

func socket(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "tree") // t.TempDir can be longer than the path of a socket may be
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return filepath.Join(dir, "s")
}

func (s semper) accept(t *testing.T, onCrash func(Crash)) *Conn {
	t.Helper()
	_ = s.Listener.(*net.UnixListener).SetDeadline(time.Now().Add(time.Minute))
	c, err := s.Accept()
	if err != nil {
		t.Fatal(err)
	}
	conn, err := Accept(c, onCrash)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}

// soon is a context that only a broken test sees the end of.
func soon(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	t.Cleanup(cancel)
	return ctx
}

func run(t *testing.T, o Options, f supervise.Flags, specs ...supervise.ChildSpec) (*Uplink, *supervise.Supervisor) {
	t.Helper()
	u := NewUplink(o)
	s, err := u.Run(quiet, f, specs, supervise.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { stop(t, s) })
	return u, s
}

// started asks until the program has its tree.
func started(t *testing.T, c *Conn) Node {
	t.Helper()
	for {
		n, err := c.Tree(soon(t))
		var remote *RemoteError
		if errors.As(err, &remote) && strings.Contains(remote.Text, "being started") {
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
}

func TestTreeAndProcessOverTheSocket(t *testing.T) {
	t.Parallel()
	l := listen(t, socket(t))
	_, s := run(t, Options{Socket: l.path, Program: "shop-server"}, supervise.Flags{Name: "shop", Intensity: 3},
		actorSpec("cart"),
		actor.Child("vault", func() actor.Server[any] { return &discreet{worker{Secret: "hunter2"}} }, actor.Options{}))
	c := l.accept(t, nil)
	if h := c.Hello(); h.PID != os.Getpid() || h.Program != "shop-server" {
		t.Errorf("%+v", h)
	}
	n := started(t, c)
	if n.ID != "shop" || n.Intensity != 3 || below(t, n, ID).Kind != Service {
		t.Errorf("%+v", n)
	}
	vault := below(t, n, "vault")
	p, err := c.Process(soon(t), vault.PID)
	if err != nil || p.PID != vault.PID || p.Path != "shop/vault" || strings.Contains(p.State, "hunter2") || !strings.Contains(p.State, "***") {
		t.Errorf("%+v, %v", p, err)
	}
	var remote *RemoteError
	if _, err := c.Process(soon(t), "<999999999>"); !errors.As(err, &remote) || !strings.Contains(err.Error(), "<999999999>") {
		t.Errorf("nobody: %v", err)
	}
	if _, err := c.Process(soon(t), "nonsense"); err == nil {
		t.Error("nonsense is a pid")
	}
	gone := ref(t, s, "cart").PID()
	gone.Kill()
	if p, err := c.Process(soon(t), pidText(gone)); p.Status != actor.StatusEnded && !errors.As(err, &remote) {
		t.Errorf("the dead: %+v, %v", p, err)
	}
}

func TestCrashesReachSemper(t *testing.T) {
	t.Parallel()
	l := listen(t, socket(t))
	inner := func(ctx context.Context) (supervise.Child, error) {
		return supervise.Start(ctx, supervise.Flags{Name: "in", Intensity: 9}, []supervise.ChildSpec{actorSpec("cart")}, supervise.Options{})
	}
	passed := make(chan actor.CrashReport, 1)
	u := NewUplink(Options{Socket: l.path})
	s, err := u.Run(actor.WithReporter(quiet, func(r actor.CrashReport) { passed <- r }), supervise.Flags{Name: "shop"},
		[]supervise.ChildSpec{nested("eu", inner)}, supervise.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer stop(t, s)
	crashes := make(chan Crash, 10)
	c := l.accept(t, func(c Crash) { crashes <- c })
	started(t, c)
	var cart actor.Ref[any]
	for _, i := range s.Children() {
		if i.ID == "eu" {
			cart = ref(t, i.Child, "cart")
		}
	}
	_ = cart.Cast(1)
	_ = cart.Cast(func() { panic("boom") })
	select {
	case got := <-crashes:
		if got.PID != pidText(cart.PID()) || got.Label != "cart" || got.Path != "shop/eu/cart" || got.Reason != "crash: panic: boom" ||
			got.Messages != 1 || !strings.Contains(got.Stack, "socket_test.go") || got.At.IsZero() || got.Uptime <= 0 || !strings.Contains(got.State, "Count:1") {
			t.Errorf("%+v", got)
		}
	case <-soon(t).Done():
		t.Fatal("no crash came")
	}
	if r := <-passed; r.PID != cart.PID() {
		t.Errorf("passed on: %+v", r)
	}
}

// What crashes while semper is away is told when it is there; what is too much is counted.
func TestCrashesWaitForSemper(t *testing.T) {
	t.Parallel()
	path := socket(t)
	u := NewUplink(Options{Socket: path, Queue: 3})
	report := u.Reporter(func(actor.CrashReport) {})
	for i := range 10 {
		report(actor.CrashReport{At: time.Now(), Label: fmt.Sprint(i), Reason: actor.Reason{Kind: actor.Crash}})
	}
	l := listen(t, path)
	s, err := u.Run(quiet, supervise.Flags{}, nil, supervise.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer stop(t, s)
	crashes := make(chan Crash, 10)
	l.accept(t, func(c Crash) { crashes <- c })
	dropped := uint64(0)
	for i := range 3 {
		select {
		case c := <-crashes:
			dropped += c.Dropped
			if c.Label != fmt.Sprint(i) {
				t.Errorf("%d is %+v", i, c)
			}
		case <-soon(t).Done():
			t.Fatal("no crash came")
		}
	}
	if dropped != 7 {
		t.Errorf("%d are said to be lost, want 7", dropped)
	}
}

// What crashes at the very end of the program is told too.
func TestCrashesAtTheEnd(t *testing.T) {
	t.Parallel()
	l := listen(t, socket(t))
	u := NewUplink(Options{Socket: l.path})
	s, err := u.Run(quiet, supervise.Flags{}, []supervise.ChildSpec{actor.Child("dies", func() actor.Server[any] { return dying{} }, actor.Options{TrapExit: true})}, supervise.Options{})
	if err != nil {
		t.Fatal(err)
	}
	crashes := make(chan Crash, 1)
	c := l.accept(t, func(c Crash) { crashes <- c })
	started(t, c)
	stop(t, s)
	select {
	case got := <-crashes:
		if got.Label != "dies" {
			t.Errorf("%+v", got)
		}
	case <-soon(t).Done():
		t.Fatal("no crash came")
	}
	<-c.Done()
}

type dying struct{ worker }

func (dying) Handle(*actor.Self[any], any) error { return nil }
func (dying) Terminate(context.Context, *actor.Self[any], actor.Reason) {
	panic("at the end")
}

func TestProgramComesBackToSemper(t *testing.T) {
	t.Parallel()
	path := socket(t)
	run(t, Options{Socket: path}, supervise.Flags{Name: "shop"}, actorSpec("cart"))
	for range 3 { // it comes when semper does, and again after each end
		l := listen(t, path)
		c := l.accept(t, nil)
		if n := started(t, c); n.ID != "shop" {
			t.Errorf("%+v", n)
		}
		c.Close()
		c = l.accept(t, nil)
		started(t, c)
		l.Close()
		c.Close()
	}
}

func TestWithoutSemper(t *testing.T) {
	if os.Getenv(Env) != "" {
		t.Setenv(Env, "")
	}
	s, err := Run(quiet, supervise.Flags{}, []supervise.ChildSpec{actorSpec("a")})
	if err != nil {
		t.Fatal(err)
	}
	defer stop(t, s)
	_ = ref(t, s, "a").Cast(1)
	if n := Tree(s); below(t, n, ID).State != "running" {
		t.Errorf("%+v", n)
	}
	if _, err := Run(quiet, supervise.Flags{Intensity: -1}, nil); !errors.Is(err, supervise.ErrInvalid) {
		t.Errorf("%v", err)
	}
}

func TestSocketOfTheEnvironment(t *testing.T) {
	l := listen(t, socket(t))
	t.Setenv(Env, l.path)
	s := start(t, supervise.Flags{Name: "shop"}, actorSpec("cart"))
	defer stop(t, s)
	if err := s.StartChild(quiet, supervise.ChildSpec{ID: "tree", Start: supervise.Serve(Serve(s))}); err != nil {
		t.Fatal(err)
	}
	c := l.accept(t, nil)
	if n := started(t, c); n.ID != "shop" || c.Hello().Program != filepath.Base(os.Args[0]) {
		t.Errorf("%+v, %+v", n, c.Hello())
	}
}

func TestTwoServesOfOneUplink(t *testing.T) {
	t.Parallel()
	l := listen(t, socket(t))
	u, _ := run(t, Options{Socket: l.path}, supervise.Flags{})
	l.accept(t, nil)
	if err := u.serve(soon(t)); !errors.Is(err, errTwice) {
		t.Errorf("%v", err)
	}
}

// The lines are these, byte by byte where nothing in them changes.
func TestLinesOfTheProtocol(t *testing.T) {
	t.Parallel()
	l := listen(t, socket(t))
	_, s := run(t, Options{Socket: l.path, Program: "shop"}, supervise.Flags{Name: "shop"}, actorSpec("cart"))
	raw, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer raw.Close()
	_ = raw.SetDeadline(time.Now().Add(time.Minute))
	in := bufio.NewReader(raw)
	say := func(line string) string {
		if line != "" {
			if _, err := raw.Write([]byte(line + "\n")); err != nil {
				t.Fatal(err)
			}
		}
		got, err := in.ReadString('\n')
		if err != nil {
			t.Fatal(err)
		}
		return strings.TrimSuffix(got, "\n")
	}
	if got, want := say(""), fmt.Sprintf(`{"v":1,"hello":{"pid":%d,"program":"shop"}}`, os.Getpid()); got != want {
		t.Errorf("%s, want %s", got, want)
	}
	if got, want := say(`{"id":10,"want":"the moon","by":"tomorrow"}`), `{"id":10,"error":"unknown want"}`; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	if got, want := say(`{"news":1}`+"\n"+`{"id":8,"want":"process","pid":"x"}`), `{"id":8,"error":"\"x\" is no pid: want one as in the tree, such as <17>"}`; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	var answer struct {
		ID   int
		Tree map[string]any
	}
	if err := json.Unmarshal([]byte(say(`{"id":7,"want":"tree","color":"red"}`)), &answer); err != nil || answer.ID != 7 || answer.Tree["id"] != "shop" || answer.Tree["kind"] != "supervisor" {
		t.Errorf("%+v, %v", answer, err)
	}
	pid := pidText(ref(t, s, "cart").PID())
	if got := say(fmt.Sprintf(`{"id":9,"want":"process","pid":%q}`, pid)); !strings.HasPrefix(got, fmt.Sprintf(`{"id":9,"process":{"pid":"%s","label":"cart","path":"shop/cart","status":"`, pid)) {
		t.Error(got)
	}
	if _, err := raw.Write([]byte("what?\n")); err != nil {
		t.Fatal(err)
	}
	if _, err := in.ReadString('\n'); err == nil {
		t.Error("it goes on after a line that is none")
	}
}
