package process

import (
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"semper"
	"semper/unit/process/internal/cgroup"
)

func root(t *testing.T) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root")
	}
}

func TestNoNewPrivs(t *testing.T) {
	t.Parallel()
	for _, on := range []bool{false, true} {
		o := options(t, "grep", "NoNewPrivs", "/proc/self/status")
		o.NoNewPrivs = on
		p := start(t, o)
		await(t, p.Done(), "the end")
		want := map[bool]string{false: "NoNewPrivs:\t0", true: "NoNewPrivs:\t1"}[on]
		if got, err := Tail(o.Output, 1, 0); err != nil || !slices.Equal(got, []string{want}) {
			t.Errorf("with NoNewPrivs %t: %q, %v", on, got, err)
		}
	}
	own, err := os.ReadFile("/proc/self/status")
	if err != nil || strings.Contains(string(own), "NoNewPrivs:\t1") {
		t.Errorf("the caller lost its privileges too (%v)", err)
	}
}

func TestReadOnly(t *testing.T) {
	t.Parallel()
	root(t)
	o := options(t, "sh", "-c", "echo x > kept/file; echo $?; echo y > free && echo wrote; cat kept/file")
	kept := filepath.Join(o.Dir, "kept")
	if err := os.Mkdir(kept, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(kept, "file"), []byte("old\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	o.ReadOnly = []string{kept}
	p := start(t, o)
	await(t, p.Done(), "the end")
	if w := p.Warning(); w != "" {
		t.Skip("not allowed here: " + w)
	}
	got, err := Tail(o.Output, 10, 0)
	if err != nil || len(got) != 4 || !slices.Equal(got[2:], []string{"wrote", "old"}) || !strings.Contains(got[0], "Read-only") {
		t.Errorf("output %q, %v", got, err)
	}
	if err := os.WriteFile(filepath.Join(kept, "file"), []byte("new\n"), 0o644); err != nil {
		t.Errorf("read-only for the caller too: %v", err)
	}
}

func TestCredential(t *testing.T) {
	t.Parallel()
	root(t)
	const uid, gid = 54321, 54322
	o := options(t, "sh", "-c", "id -u; id -g; id -G; echo again >> /dev/stderr")
	o.Credential = &Credential{UID: uid, GID: gid, Groups: []int{gid, 54323}}
	o.NoNewPrivs = true
	o.Dir = "/"
	p := start(t, o)
	await(t, p.Done(), "the end")
	got, err := Tail(o.Output, 10, 0)
	if want := []string{"54321", "54322", "54322 54323", "again"}; err != nil || !slices.Equal(got, want) {
		t.Errorf("output %q, want %q (%v)", got, want, err)
	}
}

func TestLogIsNoLink(t *testing.T) {
	t.Parallel()
	o := options(t, "true")
	target := filepath.Join(o.Dir, "precious")
	if err := os.WriteFile(target, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, link := range []func(string, string) error{os.Symlink, os.Link} {
		_ = os.Remove(o.Output)
		if err := link(target, o.Output); err != nil {
			t.Fatal(err)
		}
		if p, err := Start(o); err == nil {
			<-p.Done()
			t.Error("a link was taken for a log")
		}
	}
}

// limited starts a process with limits, or skips where the machine cannot enforce them.
func limited(t *testing.T, o Options, l semper.Limits) *Process {
	t.Helper()
	o.Cgroup, o.Limits = o.Marker, l
	p := start(t, o)
	if w := p.Warning(); w != "" {
		t.Skip(w)
	}
	return p
}

func TestMemoryLimit(t *testing.T) {
	t.Parallel()
	const bound = 96 << 20
	p := limited(t, role(t, "hog"), semper.Limits{Memory: bound})
	await(t, p.Done(), "the kill")
	if got := p.Reason(); got.Kind != semper.ReasonOOM || got.Detail != "" {
		t.Errorf("reason %+v", got)
	}
	if m := p.Peak().MemoryBytes; m < bound/2 || m > bound+1<<20 {
		t.Errorf("peak %d of %d", m, bound)
	}
}

func TestMemoryLimitOfAChild(t *testing.T) {
	t.Parallel()
	o := role(t, "hog")
	o.Argv = []string{"sh", "-c", os.Args[0] + "; exit 2"}
	p := limited(t, o, semper.Limits{Memory: 96 << 20})
	await(t, p.Done(), "the end")
	if got := p.Reason(); got.Kind != semper.ReasonExit || got.Code != 2 || got.Detail == "" {
		t.Errorf("reason %+v", got)
	}
}

func TestOtherLimits(t *testing.T) {
	t.Parallel()
	o := options(t, "sh", "-c", "cat /proc/self/cgroup; sleep 1000")
	p := limited(t, o, semper.Limits{PIDs: 7, CPU: 1.5})
	firstLine(t, o)
	value := func(v1, v2 string) string {
		controller, _, _ := strings.Cut(v1, ".")
		file := filepath.Join(p.group.Dir(controller), v1)
		if p.group.Dir(controller) == "" {
			file = filepath.Join(p.group.Dir(cgroup.Unified), v2)
		}
		b, err := os.ReadFile(file)
		if err != nil {
			t.Error(err)
		}
		return strings.TrimSpace(string(b))
	}
	if got := value("pids.max", "pids.max"); got != "7" {
		t.Errorf("limit of processes %q", got)
	}
	if got := value("cpu.cfs_quota_us", "cpu.max"); got != "150000" && got != "150000 100000" {
		t.Errorf("limit of processors %q", got)
	}
	for _, d := range p.group.Dirs() {
		b, err := os.ReadFile(filepath.Join(d, "cgroup.procs"))
		got := strings.Fields(string(b))
		if err != nil || !slices.Contains(got, strconv.Itoa(p.PID())) || slices.Contains(got, strconv.Itoa(os.Getpid())) {
			t.Errorf("processes %q in %s, %v", got, d, err)
		}
	}
}

func TestLimitsWithoutACgroupAreTold(t *testing.T) {
	t.Parallel()
	o := options(t, "true")
	o.Limits.PIDs = 3
	p := start(t, o)
	if p.Warning() == "" {
		t.Error("no warning")
	}
}

// TestKillWithoutCgroupKill: the first version has no file to kill a cgroup with.
func TestKillWithoutCgroupKill(t *testing.T) {
	t.Parallel()
	p := limited(t, options(t, "sleep", "1000"), semper.Limits{PIDs: 100})
	dir := p.group.Dir("pids")
	if dir == "" {
		t.Skip("no cgroup of the first version here")
	}
	g := cgroup.Parse("pids=" + dir)
	if got := g.Members(); !slices.Equal(got, []int{p.PID()}) {
		t.Errorf("members %v, want %d", got, p.PID())
	}
	g.Kill()
	await(t, p.Done(), "the end")
}
