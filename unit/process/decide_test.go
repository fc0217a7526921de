package process

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"semper"

	"golang.org/x/sys/unix"
)

func TestEnding(t *testing.T) {
	t.Parallel()
	killed := syscall.WaitStatus(unix.SIGKILL)
	why := semper.Reason{Kind: semper.ReasonHealth}
	for name, c := range map[string]struct {
		e    ending
		want semper.ReasonKind
	}{
		"unseen":                     {ending{}, semper.ReasonUnknown},
		"unseen, asked":              {ending{asked: true}, semper.ReasonShutdown},
		"unseen, asked and killed":   {ending{asked: true, killed: true}, semper.ReasonKilled},
		"unseen, killed for":         {ending{killed: true, because: &why}, semper.ReasonHealth},
		"unseen, oom":                {ending{grouped: true, groupOOM: 1}, semper.ReasonOOM},
		"killed by semper, oom too":  {ending{known: true, status: killed, killed: true, groupOOM: 1}, semper.ReasonKilled},
		"oom":                        {ending{known: true, status: killed, grouped: true, groupOOM: 1}, semper.ReasonOOM},
		"oom while stopping":         {ending{known: true, status: killed, asked: true, grouped: true, groupOOM: 1}, semper.ReasonOOM},
		"oom elsewhere":              {ending{known: true, status: killed, grouped: true, machineOOM: 1}, semper.ReasonSignal},
		"oom somewhere":              {ending{known: true, status: killed, machineOOM: 1}, semper.ReasonOOM},
		"killed by somebody":         {ending{known: true, status: killed}, semper.ReasonSignal},
		"ended before the kill":      {ending{known: true, status: 0, killed: true}, semper.ReasonNormal},
		"asked, ended by the signal": {ending{known: true, status: syscall.WaitStatus(unix.SIGTERM), asked: true}, semper.ReasonShutdown},
		"asked, exit 143":            {ending{known: true, status: 143 << 8, asked: true}, semper.ReasonShutdown},
		"asked, crashed":             {ending{known: true, status: syscall.WaitStatus(unix.SIGABRT), asked: true}, semper.ReasonSignal},
		"core":                       {ending{known: true, status: syscall.WaitStatus(unix.SIGSEGV) | 0x80}, semper.ReasonSignal},
	} {
		if got := c.e.reason(); got.Kind != c.want {
			t.Errorf("%s: %+v, want %s", name, got, c.want)
		}
	}
}

func TestParseStat(t *testing.T) {
	t.Parallel()
	own, err := os.ReadFile("/proc/self/stat")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(own), ")")
	s, err := parseStat([]byte("77 (a) b) Z 1 (x)" + rest))
	if err != nil || s.pid != 77 || s.start == 0 || s.ppid != os.Getppid() {
		t.Errorf("%+v, %v", s, err)
	}
	for _, bad := range []string{"", "1", "1 (a", ")(", "1 (a) R 1 2", "x (a)" + rest, "1 (a) R" + strings.Repeat(" x", 60)} {
		if s, err := parseStat([]byte(bad)); err == nil {
			t.Errorf("%q is %+v", bad, s)
		}
	}
}

func TestParseHierarchies(t *testing.T) {
	t.Parallel()
	const line = "30 23 0:26 %ROOT% %POINT% rw,nosuid - %TYPE% cgroup rw,%OPTIONS%\n"
	mount := func(typ, point, root, options string) string {
		return strings.NewReplacer("%TYPE%", typ, "%POINT%", point, "%ROOT%", root, "%OPTIONS%", options).Replace(line)
	}
	for name, c := range map[string]struct {
		mounts, own string
		want        []hierarchy
	}{
		"v2 service": {
			mount("cgroup2", "/sys/fs/cgroup", "/", "nsdelegate"), "0::/system.slice/semper.service\n",
			[]hierarchy{{[]string{unified}, "/sys/fs/cgroup/system.slice/semper.service"}},
		},
		"v2 container": {
			mount("cgroup2", "/sys/fs/cgroup", "/", ""), "0::/\n",
			[]hierarchy{{[]string{unified}, "/sys/fs/cgroup"}},
		},
		"v1 container without a namespace": {
			mount("cgroup", `/sys/fs/my\040cgroup/memory`, "/docker/abc", "memory"), "4:memory:/docker/abc/x\n",
			[]hierarchy{{[]string{"memory"}, "/sys/fs/my cgroup/memory/x"}},
		},
		"v1 outside of what is mounted": {
			mount("cgroup", "/sys/fs/cgroup/memory", "/docker/abc", "memory"), "4:memory:/elsewhere\n",
			[]hierarchy{{[]string{"memory"}, "/sys/fs/cgroup/memory"}},
		},
		"hybrid": {
			mount("cgroup", "/c/cpu,cpuacct", "/", "cpu,cpuacct") + mount("cgroup", "/c/blkio", "/", "blkio") +
				mount("cgroup2", "/c/unified", "/", "") + mount("cgroup", "/d/cpu", "/", "cpu"),
			"5:cpu,cpuacct:/a\n2:blkio:/\n1:name=systemd:/\n0::/b\n",
			[]hierarchy{{[]string{"cpu"}, "/c/cpu,cpuacct/a"}, {[]string{unified}, "/c/unified/b"}},
		},
		"none":   {"", "", nil},
		"broken": {"x\n - cgroup2\n", "0::\nx\n", nil},
	} {
		got := parseHierarchies(c.mounts, c.own)
		if !slices.EqualFunc(got, c.want, func(a, b hierarchy) bool {
			return a.own == b.own && slices.Equal(a.controllers, b.controllers)
		}) {
			t.Errorf("%s: %+v, want %+v", name, got, c.want)
		}
	}
}

func TestGroupIsRemembered(t *testing.T) {
	t.Parallel()
	g := &group{places: []place{{unified, "/c/u/semper.a"}, {"memory", "/c/m/semper.a"}}}
	if got := parseGroup(g.String()); !slices.Equal(got.places, g.places) {
		t.Errorf("%+v", got)
	}
	for _, bad := range []string{"", ";", "=", "unified=", "unified=/", "unified=/sys/fs/cgroup", "memory=semper.a"} {
		if got := parseGroup(bad); len(got.places) != 0 {
			t.Errorf("%q is %+v", bad, got)
		}
	}
	if got := plain("bar/web.r42;3=\n"); got != "bar_web.r42_3__" {
		t.Errorf("name %q", got)
	}
}

// TestInhabitedGroupIsNotShared: what an earlier incarnation left running keeps its cgroup to itself.
func TestInhabitedGroupIsNotShared(t *testing.T) {
	t.Parallel()
	o := options(t, "sleep", "1000")
	o.Cgroup = o.Marker
	first := start(t, o)
	if len(first.group.dirs()) == 0 {
		t.Skip("no cgroup can be made here")
	}
	o.Marker += "-second"
	second := start(t, o)
	if slices.ContainsFunc(first.group.dirs(), func(d string) bool { return slices.Contains(second.group.dirs(), d) }) {
		t.Error("two incarnations in one cgroup")
	}
	second.Kill()
	await(t, second.Done(), "the end of the second")
	select {
	case <-first.Exited():
		t.Error("the first was killed with the second")
	default:
	}
}

// TestStepDown: a cgroup with processes may not pass controllers on, so semper moves to a leaf of it.
func TestStepDown(t *testing.T) {
	t.Parallel()
	base := ""
	for _, h := range hierarchies() {
		if h.is(unified) {
			base = filepath.Join(h.own, "semper.test-"+filepath.Base(t.TempDir())+"-"+strings.ReplaceAll(t.Name(), "/", "-"))
		}
	}
	if base == "" || os.Mkdir(base, 0o755) != nil {
		t.Skip("no cgroup of the second version can be made here")
	}
	t.Cleanup(func() { _ = rmdir(base) })
	there, err := words(filepath.Join(base, "cgroup.controllers"))
	if err != nil || len(there) == 0 {
		t.Skipf("no controller to pass on here (%v)", err)
	}
	o := options(t, "sleep", "1000")
	p := start(t, o)
	if err := write(filepath.Join(base, "cgroup.procs"), strconv.Itoa(p.PID())); err != nil {
		t.Fatal(err)
	}
	given, err := passOn(base, []string{there[0], "nonsense"})
	if err != nil || !slices.Equal(given, there[:1]) {
		t.Errorf("passed on %q, %v", given, err)
	}
	if got := pidsIn(filepath.Join(base, leaf)); !slices.Equal(got, []int{p.PID()}) {
		t.Errorf("in the leaf: %v", got)
	}
	p.Kill()
	await(t, p.Done(), "the end")
	if _, err := os.Stat(filepath.Join(base, leaf)); errors.Is(err, os.ErrNotExist) {
		t.Error("no leaf")
	}
}
