package process

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"semper"
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
	dir := p.group.dir("pids")
	if dir == "" {
		dir = p.group.dir(unified)
	}
	if n := number(filepath.Join(dir, "pids.max")); n != 7 {
		t.Errorf("pids.max is %d", n)
	}
	if dir := p.group.dir("cpu"); dir != "" {
		if n := number(filepath.Join(dir, "cpu.cfs_quota_us")); n != 150000 {
			t.Errorf("cpu quota is %d", n)
		}
	} else if w, err := words(filepath.Join(p.group.dir(unified), "cpu.max")); err != nil || !slices.Equal(w, []string{"150000", "100000"}) {
		t.Errorf("cpu.max is %q, %v", w, err)
	}
	for _, d := range p.group.dirs() {
		if !slices.Contains(pidsIn(d), p.PID()) {
			t.Errorf("the process is not in %s", d)
		}
		if slices.Contains(pidsIn(d), os.Getpid()) {
			t.Errorf("the caller is in %s", d)
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
