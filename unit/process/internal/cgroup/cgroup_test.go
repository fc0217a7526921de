package cgroup

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

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
			[]hierarchy{{[]string{Unified}, "/sys/fs/cgroup/system.slice/semper.service"}},
		},
		"v2 container": {
			mount("cgroup2", "/sys/fs/cgroup", "/", ""), "0::/\n",
			[]hierarchy{{[]string{Unified}, "/sys/fs/cgroup"}},
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
			[]hierarchy{{[]string{"cpu"}, "/c/cpu,cpuacct/a"}, {[]string{Unified}, "/c/unified/b"}},
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
	g := &Group{places: []place{{Unified, "/c/u/semper.a"}, {"memory", "/c/m/semper.a"}}}
	if got := Parse(g.String()); !slices.Equal(got.places, g.places) {
		t.Errorf("%+v", got)
	}
	for _, bad := range []string{"", ";", "=", "unified=", "unified=/", "unified=/sys/fs/cgroup", "memory=semper.a"} {
		if got := Parse(bad); len(got.places) != 0 {
			t.Errorf("%q is %+v", bad, got)
		}
	}
	if got := plain("bar/web.r42;3=\n"); got != "bar_web.r42_3__" {
		t.Errorf("name %q", got)
	}
}

// TestStepDown: a cgroup with processes may not pass controllers on, so semper moves to a leaf of it.
func TestStepDown(t *testing.T) {
	t.Parallel()
	base := ""
	for _, h := range hierarchies() {
		if h.is(Unified) {
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
	c := exec.Command("sleep", "1000")
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = c.Process.Kill()
		_ = c.Wait()
	})
	pid := c.Process.Pid
	if err := write(filepath.Join(base, "cgroup.procs"), strconv.Itoa(pid)); err != nil {
		t.Fatal(err)
	}
	given, err := passOn(base, []string{there[0], "nonsense"})
	if err != nil || !slices.Equal(given, there[:1]) {
		t.Errorf("passed on %q, %v", given, err)
	}
	if got := pidsIn(filepath.Join(base, leaf)); !slices.Equal(got, []int{pid}) {
		t.Errorf("in the leaf: %v", got)
	}
}
