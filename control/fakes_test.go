package control_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"semper"
	"semper/actor"
	"semper/api"
	"semper/autoscale/waking"
	"semper/control"
	"semper/control/output"
	"semper/edge/mirror/told"
	"semper/experiment/design"
	"semper/pipeline/attest"
	"semper/store/mem"
	"semper/supervise"
	"semper/task"
)

// machine is a whole machine in memory: a keeper whose instances do what their release says, and
// edges that follow the store. It lives in a synctest bubble.
type machine struct {
	t     *testing.T
	store semper.Store

	mu          sync.Mutex // guards the following
	instances   map[semper.InstanceID]*semper.InstanceStatus
	watchers    map[chan struct{}]bool
	behaviour   map[semper.ReleaseName]string // "": becomes ready; "exit": ends at once; "silent": never ready; "loop": ready, then crashes for ever
	pid         int
	crashes     []semper.CrashReport
	acked       []string
	started     map[semper.InstanceID]int
	inFlight    map[semper.InstanceID]semper.InFlight
	epochs      []semper.Epoch // of the edges
	frozen      bool           // edges do not follow
	moved       chan struct{}
	traffic     api.Traffic
	trafficErr  error
	arms        []semper.ArmCounts
	armsErr     error
	shadows     []told.Counts
	differs     bool           // answers of candidates to copies do, at a place where the current release's never do
	sound       semper.PoolKey // none of its requests fails
	exposures   []design.Exposure
	certs       []api.Certificate
	held        map[semper.PoolKey]int // requests that wait at an edge
	asked       uint64
	books       []control.Book
	dropped     []string
	blobs       map[semper.Digest]bool
	stageErr    error
	events      []supervise.Event   // of control's tree
	reports     []actor.CrashReport // of its processes
	execs       int
	stagePanics int            // how many more stagings panic
	broken      bool           // the next Exec panics
	foundReady  []string       // what the keeper was told of, and whether an edge could know it
	looks       int            // at what an instance listens on
	gates       map[string]int // exit codes of gates' and tasks' commands, by argv[0]
	hang        bool           // tasks do not end by themselves
}

func newMachine(t *testing.T) *machine {
	return &machine{
		t: t, store: mem.New(), instances: make(map[semper.InstanceID]*semper.InstanceStatus), watchers: make(map[chan struct{}]bool),
		behaviour: make(map[semper.ReleaseName]string), started: make(map[semper.InstanceID]int), inFlight: make(map[semper.InstanceID]semper.InFlight),
		epochs: []semper.Epoch{0}, moved: make(chan struct{}), blobs: make(map[semper.Digest]bool), pid: 100,
	}
}

// run starts a control process on the machine and returns it with the function that kills it.
func (m *machine) run(s semper.Store) (*control.Control, func()) {
	c := control.New(control.Options{
		Store: s, Keeper: m, Edges: m, Blobs: (*blobs)(m), Ledgers: (*ledgers)(m), Secrets: noSecrets{}, Machine: (*facts)(m),
		ID: fmt.Sprintf("control-%p", new(int)), Keys: testKeys, Client: &http.Client{Transport: m}, Supervision: func(context.Context) supervise.Options { return supervise.Options{Observe: m.observe} },
	})
	ctx, cancel := context.WithCancel(actor.WithReporter(context.Background(), m.report))
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := c.Run(ctx); err != nil {
			m.t.Error(err)
		}
	}()
	return c, func() { cancel(); <-done }
}

// RoundTrip answers what gates ask.
func (m *machine) RoundTrip(r *http.Request) (*http.Response, error) {
	status := http.StatusOK
	if r.URL.Host == "broken.example.com" {
		status = http.StatusBadGateway
	}
	return &http.Response{StatusCode: status, Status: http.StatusText(status), Body: http.NoBody, Request: r}, nil
}

// testKeys are the same for every control process of a machine, as the identity is.
func testKeys(generation int) (*attest.Key, error) {
	return attest.KeyOf([32]byte{byte(generation)}), nil
}

func (m *machine) observe(e supervise.Event) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.events = append(m.events, e)
}

func (m *machine) report(r actor.CrashReport) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.reports = append(m.reports, r)
}

// follow makes the edges follow the store until the returned function is called.
func (m *machine) follow() func() {
	ctx, cancel := context.WithCancel(context.Background())
	ch, err := m.store.Watch(ctx, "table", 0)
	if err != nil {
		m.t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for range ch {
			v, err := m.store.Get(ctx, "table")
			if err != nil {
				continue
			}
			m.mu.Lock()
			if !m.frozen {
				for i := range m.epochs {
					m.epochs[i] = epochOf(v.Value)
				}
				close(m.moved)
				m.moved = make(chan struct{})
			}
			m.mu.Unlock()
		}
	}()
	return func() { cancel(); <-done }
}

func (m *machine) change() {
	for ch := range m.watchers {
		select {
		case ch <- struct{}{}:
		default:
		}
	}
}

func (m *machine) Start(_ context.Context, spec semper.InstanceSpec) (semper.InstanceStatus, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if in := m.instances[spec.ID]; in != nil {
		return *in, nil
	}
	m.started[spec.ID]++
	in := &semper.InstanceStatus{Spec: spec}
	m.instances[spec.ID] = in
	m.incarnate(in)
	return *in, nil
}

// incarnate starts a new process and does what the release does. The caller holds mu.
func (m *machine) incarnate(in *semper.InstanceStatus) {
	m.pid++
	if strings.HasPrefix(in.Spec.Service, "gate:") {
		m.gate(in)
		return
	}
	if task.IDOf(in.Spec.ID) != "" && !m.hang {
		m.gate(in)
		return
	}
	in.State, in.PID, in.StartTicks, in.StartedAt = semper.Starting, m.pid, uint64(m.pid), time.Now()
	in.Incarnation++
	in.Notified = false
	in.Address = "127.0.0.1:20001"
	if in.Spec.Spec.Listen == semper.ListenSocket {
		in.Address = "unix:/nonexistent/sock"
	}
	switch m.behaviour[in.Spec.Release] {
	case "":
		in.Notified = true
	case "exit":
		m.end(in, semper.Reason{Kind: semper.ReasonExit, Code: 3}, false)
	}
	m.change()
}

// gate runs a gate's command for a second. The caller holds mu.
func (m *machine) gate(in *semper.InstanceStatus) {
	in.State, in.PID, in.Incarnation = semper.Starting, m.pid, 1
	id, r := in.Spec.ID, semper.Reason{Kind: semper.ReasonNormal}
	if code := m.gates[in.Spec.Spec.Command[0]]; code != 0 {
		r = semper.Reason{Kind: semper.ReasonExit, Code: code}
	}
	time.AfterFunc(time.Second, func() {
		m.mu.Lock()
		defer m.mu.Unlock()
		if in := m.instances[id]; in != nil && in.State != semper.Ended {
			in.State, in.PID, in.LastEnd = semper.Ended, 0, &semper.End{Reason: r, At: time.Now(), Uptime: semper.Duration(time.Second), Tail: []string{"checked"}}
			if r.Abnormal() { // the keeper knows no gates
				m.crashes = append(m.crashes, semper.CrashReport{ID: "c-" + string(id), At: time.Now(), What: string(id), App: in.Spec.App, Environment: in.Spec.Environment, Service: in.Spec.Service, Reason: r})
			}
			m.change()
		}
	})
	m.change()
}

// end ends the present incarnation. The caller holds mu.
func (m *machine) end(in *semper.InstanceStatus, r semper.Reason, gaveUp bool) {
	in.State, in.PID, in.Notified = semper.Waiting, 0, false
	in.LastEnd = &semper.End{Reason: r, At: time.Now(), GaveUp: gaveUp, Tail: []string{"cannot open config"}, Decision: "restart in 100ms"}
	m.crashes = append(m.crashes, semper.CrashReport{
		ID: fmt.Sprintf("c-%d", in.Incarnation), At: time.Now(), What: string(in.Spec.ID), App: in.Spec.App, Environment: in.Spec.Environment,
		Release: in.Spec.Release, Reason: r, Decision: "restart in 100ms",
	})
	id := in.Spec.ID
	time.AfterFunc(100*time.Millisecond, func() {
		m.mu.Lock()
		defer m.mu.Unlock()
		if in := m.instances[id]; in != nil && in.State == semper.Waiting {
			in.Restarts++
			m.incarnate(in)
		}
	})
	m.change()
}

func (m *machine) Stop(_ context.Context, id semper.InstanceID, _ string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if in := m.instances[id]; in != nil {
		in.State, in.PID = semper.Ended, 0
		if task.IDOf(id) != "" {
			in.LastEnd = &semper.End{Reason: semper.Reason{Kind: semper.ReasonShutdown}, At: time.Now()}
		}
		m.change()
	}
	return nil
}

func (m *machine) Forget(_ context.Context, id semper.InstanceID) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.instances, id)
	return nil
}

func (m *machine) Kill(_ context.Context, id semper.InstanceID, r semper.Reason) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.end(m.instances[id], r, false)
	return nil
}

func (m *machine) Ready(_ context.Context, id semper.InstanceID, incarnation int64) error {
	known := m.published(id)
	m.mu.Lock()
	defer m.mu.Unlock()
	m.foundReady = append(m.foundReady, fmt.Sprintf("%s incarnation %d, edges know of it: %t", id, incarnation, known))
	return nil
}

// published reports whether the table that edges follow, as it is now, has id.
func (m *machine) published(id semper.InstanceID) bool {
	v, err := m.store.Get(context.Background(), "table")
	return err == nil && bytes.Contains(v.Value, []byte(`"id":"`+string(id)+`"`))
}

func (m *machine) Exec(context.Context, semper.InstanceID, []string, time.Duration) (int, string, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.execs++
	if m.broken {
		m.broken = false
		panic("the check broke")
	}
	return 0, "", nil
}

func (m *machine) Watch(ctx context.Context) (<-chan []semper.InstanceStatus, error) {
	out, wake := make(chan []semper.InstanceStatus), make(chan struct{}, 1)
	wake <- struct{}{}
	m.mu.Lock()
	m.watchers[wake] = true
	m.mu.Unlock()
	go func() {
		defer close(out)
		for {
			select {
			case <-wake:
			case <-ctx.Done():
				m.mu.Lock()
				delete(m.watchers, wake)
				m.mu.Unlock()
				return
			}
			m.mu.Lock()
			var all []semper.InstanceStatus
			for _, id := range slices.Sorted(maps.Keys(m.instances)) {
				all = append(all, *m.instances[id])
			}
			m.mu.Unlock()
			select {
			case out <- all:
			case <-ctx.Done():
			}
		}
	}()
	return out, nil
}

func (m *machine) Crashes(context.Context) ([]semper.CrashReport, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.crashes), nil
}

func (m *machine) AckCrashes(_ context.Context, ids []string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.acked = append(m.acked, ids...)
	m.crashes = slices.DeleteFunc(m.crashes, func(r semper.CrashReport) bool { return slices.Contains(ids, r.ID) })
	return nil
}

func (m *machine) Info(context.Context) (api.ServerInfo, error) { return api.ServerInfo{}, nil }
func (m *machine) Tree(context.Context) (api.TreeNode, error)   { return api.TreeNode{}, nil }
func (m *machine) Upgrade(context.Context, string) (<-chan api.UpgradeStep, error) {
	return nil, &semper.Error{Code: semper.Invalid, Message: "no upgrade in memory"}
}

func (m *machine) Certificates(context.Context) ([]api.Certificate, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.certs, nil
}

func (m *machine) Traffic(context.Context) (api.Traffic, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.traffic, m.trafficErr
}

func (m *machine) Shadows(context.Context) ([]told.Counts, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.shadows), nil
}

func (m *machine) Exposures(_ context.Context, after int64) ([]design.Exposures, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	out := design.Exposures{Edge: "edge-1"}
	for _, e := range m.exposures {
		if e.Seq > after {
			out.List = append(out.List, e)
		}
	}
	return []design.Exposures{out}, nil
}

func (m *machine) Arms(context.Context) ([]semper.ArmCounts, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.arms), m.armsErr
}

func (m *machine) Sleepers(ctx context.Context, wait bool) (map[semper.PoolKey]waking.Told, error) {
	for {
		m.mu.Lock()
		told, waiting, moved := make(map[semper.PoolKey]waking.Told), false, m.moved
		for pool, n := range m.held {
			told[pool] = waking.Told{Asked: m.asked, Waiting: n}
			waiting = waiting || n > 0
		}
		m.mu.Unlock()
		if !wait || waiting {
			return told, nil
		}
		select {
		case <-moved:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

func (m *machine) Metrics(context.Context, string, string) (api.Exposition, error) {
	return api.Exposition{Text: []byte("up 1\n")}, nil
}

func (m *machine) States(context.Context) ([]semper.EdgeState, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var out []semper.EdgeState
	for i, e := range m.epochs {
		s := semper.EdgeState{ID: fmt.Sprintf("edge-%d", i+1), PID: i + 1, Epoch: e, InFlight: map[semper.InstanceID]semper.InFlight{}}
		if i == 0 {
			s.InFlight, s.Held = maps.Clone(m.inFlight), maps.Clone(m.held)
		}
		out = append(out, s)
	}
	return out, nil
}

func (m *machine) Desks(context.Context) ([]semper.EdgeState, error) { return nil, nil }

func (m *machine) Signal(context.Context, semper.InstanceID, string) error { return nil }

func (m *machine) Await(ctx context.Context, epoch semper.Epoch) ([]semper.EdgeState, error) {
	for {
		m.mu.Lock()
		late := slices.ContainsFunc(m.epochs, func(e semper.Epoch) bool { return e < epoch })
		moved := m.moved
		m.mu.Unlock()
		if !late {
			return m.States(ctx)
		}
		select {
		case <-moved:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

type blobs machine

func (b *blobs) Has(semper.Digest) (bool, error)                     { return true, nil }
func (b *blobs) Put(context.Context, semper.Digest, io.Reader) error { return nil }
func (b *blobs) Size(semper.Digest) (int64, error)                   { return 1, nil }
func (b *blobs) Verify(context.Context, semper.Digest) error         { return nil }
func (b *blobs) Diff(context.Context, semper.Digest, semper.Digest) ([]string, error) {
	return nil, nil
}
func (b *blobs) Unpack(context.Context, semper.Digest) (string, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.stagePanics > 0 {
		b.stagePanics--
		panic("the disk broke")
	}
	return "", b.stageErr
}
func (b *blobs) GC(map[semper.Digest]bool, time.Time, bool) ([]semper.Digest, int64, error) {
	return nil, 0, nil
}

type ledgers machine

func (l *ledgers) Read() ([]control.Book, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.books), nil
}

func (l *ledgers) Drop(b control.Book) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.dropped = append(l.dropped, b.Name)
	return nil
}

type noSecrets struct{}

func (noSecrets) Set(string, string, []byte) (int, error) { return 1, nil }
func (noSecrets) Newest(_, name string) (int, error) {
	if name == "known" {
		return 3, nil
	}
	return 0, nil
}
func (noSecrets) Get(string, string) ([]byte, error) { return []byte("0123456789abcdef"), nil }
func (noSecrets) List(string) ([]string, error)      { return nil, nil }

type facts machine

func (f *facts) Listening(int) ([]string, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.looks++
	return []string{"127.0.0.1:8000"}, nil
}
func (*facts) Resident(pids []int) map[int]int64 {
	out := make(map[int]int64)
	for _, pid := range pids {
		out[pid] = 100 << 20
	}
	return out
}
func (*facts) Gone(string) bool                           { return false }
func (*facts) Alive(int) bool                             { return false }
func (*facts) Tail(string, int) ([]string, error)         { return nil, nil }
func (*facts) Open(string, string) (io.ReadCloser, error) { return nil, fs.ErrNotExist }
func (*facts) Bytes(context.Context, context.Context, string, int64) (<-chan output.Chunk, error) {
	return nil, fs.ErrNotExist
}
func (*facts) Checks(context.Context) []api.Check { return nil }
func (*facts) Follow(context.Context, string, int) (<-chan string, error) {
	return nil, nil
}
