package allot_test

import (
	"encoding/json"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"semper"
	"semper/keeper/allot"
)

func TestPortsAreNeverGivenTwice(t *testing.T) {
	t.Parallel()
	// Two sempers with the same first choice, and strangers in the way.
	a, b := allot.NewPorts("seed"), allot.NewPorts("seed")
	first, err := a.Take("x")
	if err != nil {
		t.Fatal(err)
	}
	var strangers []net.Listener
	for n := first + 1; n <= first+3 && n <= allot.LastPort; n++ {
		if l, err := net.Listen("tcp", ":"+strconv.Itoa(n)); err == nil {
			strangers = append(strangers, l)
			defer l.Close()
		}
	}
	var mu sync.Mutex
	seen := map[int]string{first: "x"}
	var wg sync.WaitGroup
	for i, p := range []*allot.Ports{a, b, a, b} {
		wg.Go(func() {
			for j := range 20 {
				owner := strconv.Itoa(i) + "/" + strconv.Itoa(j)
				n, err := p.Take(owner)
				if err != nil {
					t.Error(err)
					return
				}
				mu.Lock()
				if other, ok := seen[n]; ok {
					t.Errorf("%d for %s and %s", n, other, owner)
				}
				seen[n] = owner
				mu.Unlock()
				if n < allot.FirstPort || n > allot.LastPort {
					t.Errorf("%d is out of range", n)
				}
			}
		})
	}
	wg.Wait()
	for _, l := range strangers {
		if owner, ok := seen[l.Addr().(*net.TCPAddr).Port]; ok {
			t.Errorf("%s got a stranger's port", owner)
		}
	}
}

func TestPortsAreKeptAndReleased(t *testing.T) {
	t.Parallel()
	p := allot.NewPorts(t.Name())
	n, err := p.Take("a")
	if err != nil {
		t.Fatal(err)
	}
	if !p.Keep(n, "a") || p.Keep(n, "b") {
		t.Error("a port belongs to whom it was given")
	}
	p.Release(n, "b")
	if p.Keep(n, "b") {
		t.Error("somebody else gave it back")
	}
	p.Release(n, "a")
	if !p.Keep(n, "b") {
		t.Error("it was given back")
	}
	p.Release(n, "b")
}

func grant() allot.Grant {
	return allot.Grant{
		Spec: semper.InstanceSpec{
			ID: "bar/web.r1.1", App: "bar", Environment: "production", Service: "web", Release: "r1",
			Spec: semper.Service{Env: map[string]semper.EnvVar{"B": {Value: "2"}, "A": {Value: "1"}, "KEY": {Secret: "key@1"}, "PATH": {Value: "/opt"}}},
		},
		Port: 20001, Scratch: "/scratch", Notify: "/n", Tree: "/t", Jobs: "/q", Secrets: map[string]string{"KEY": "hidden"}, Path: "/bin",
	}
}

func TestEnvironIsWholeAndStable(t *testing.T) {
	t.Parallel()
	want := []string{
		"LANG=C.UTF-8", "HOME=/scratch", "TMPDIR=/scratch", "SEMPER_APP=bar", "SEMPER_ENVIRONMENT=production",
		"SEMPER_SERVICE=web", "SEMPER_RELEASE=r1", "SEMPER_INSTANCE=bar/web.r1.1", "SEMPER_SCRATCH=/scratch", "NOTIFY_SOCKET=/n",
		"SEMPER_TREE=/t", "SEMPER_QUEUE=/q", "PORT=20001", "A=1", "B=2", "KEY=hidden", "PATH=/opt",
	}
	for range 10 {
		if diff := cmp.Diff(want, grant().Environ()); diff != "" {
			t.Fatal(diff)
		}
	}
	g := allot.Grant{Socket: "/s"}
	if env := g.Environ(); !slices.Contains(env, "SOCKET=/s") || !slices.Contains(env, "PATH="+allot.DefaultPath) {
		t.Errorf("%q", env)
	}
}

func TestPartEnviron(t *testing.T) {
	t.Parallel()
	got := allot.PartEnviron("control", "/n", "/t", []string{"HOME=/root", "NOTIFY_SOCKET=/systemd", "SEMPER_TREE=/outer", "LISTEN_FDS=1", "GOGC=off"})
	want := []string{"HOME=/root", "GOGC=off", "GOMEMLIMIT=64MiB", "NOTIFY_SOCKET=/n", "SEMPER_TREE=/t"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestSecrets(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := os.MkdirAll(filepath.Join(dir, "bar", "key"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "bar", "key", "2"), []byte("hidden\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	got, err := allot.ReadSecrets(dir, "bar", map[string]semper.EnvVar{"K": {Secret: "key@2"}, "V": {Value: "v"}})
	if err != nil || len(got) != 1 || got["K"] != "hidden\n" {
		t.Errorf("%q, %v", got, err)
	}
	for _, ref := range []string{"key", "key@", "@2", "../bar/key@2", "key@../key/2", "..@2", "key@3"} {
		_, err := allot.ReadSecrets(dir, "bar", map[string]semper.EnvVar{"K": {Secret: ref}})
		if semper.CodeOf(err) != semper.Invalid || strings.Contains(err.Error(), "hidden") {
			t.Errorf("%s: %v", ref, err)
		}
	}
}

func TestNeedsFollowScripts(t *testing.T) {
	t.Parallel()
	dir, bin := t.TempDir(), t.TempDir()
	write := func(path, text string) string {
		if err := os.WriteFile(path, []byte(text), 0o755); err != nil {
			t.Fatal(err)
		}
		return path
	}
	interpreter := write(filepath.Join(bin, "python9"), "binary")
	script := write(filepath.Join(dir, "app.py"), "#!/usr/bin/env python9\n")
	direct := write(filepath.Join(dir, "run"), "#!"+interpreter+" -u\n")
	for _, test := range []struct {
		argv []string
		want []string
	}{
		{[]string{"./app.py"}, []string{dir, script, "/usr/bin/env", interpreter}},
		{[]string{"./run", "x"}, []string{dir, direct, interpreter}},
		{[]string{"python9", "app.py"}, []string{dir, interpreter}},
		{[]string{"missing"}, []string{dir}},
		{nil, []string{dir}},
	} {
		if diff := cmp.Diff(test.want, allot.Needs(test.argv, dir, bin)); diff != "" {
			t.Errorf("%q: %s", test.argv, diff)
		}
	}
}

func TestUsersStayWithTheirApps(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "users.json")
	u, err := allot.OpenUsers(file)
	if err != nil {
		t.Fatal(err)
	}
	given := map[string]int{}
	taken := map[int]string{}
	for i := range 50 {
		app := "app" + strconv.Itoa(i)
		uid, err := u.For(app)
		if err != nil {
			t.Fatal(err)
		}
		if other, ok := taken[uid]; ok || uid < allot.FirstUID || uid > allot.LastUID {
			t.Fatalf("%s got %d, which %s has", app, uid, other)
		}
		given[app], taken[uid] = uid, app
	}
	again, err := allot.OpenUsers(file)
	if err != nil {
		t.Fatal(err)
	}
	for app, uid := range given {
		if got, err := again.For(app); err != nil || got != uid {
			t.Errorf("%s was %d and is %d, %v", app, uid, got, err)
		}
	}
}

func TestLeastPrivilegeThatReaches(t *testing.T) {
	t.Parallel()
	open, closed := t.TempDir(), t.TempDir()
	if err := os.Chmod(closed, 0o700); err != nil {
		t.Fatal(err)
	}
	inside := filepath.Join(closed, "tool")
	if err := os.WriteFile(inside, nil, 0o755); err != nil {
		t.Fatal(err)
	}
	link := filepath.Join(open, "tool")
	if err := os.Symlink(inside, link); err != nil {
		t.Fatal(err)
	}
	if r := allot.Least(61184, []string{"/bin/sh"}); r.Credential == nil || r.Credential.UID != 61184 || r.Warning != "" {
		t.Errorf("%+v", r)
	}
	for _, path := range []string{inside, link, filepath.Join(open, "missing")} {
		if r := allot.Least(61184, []string{"/bin/sh", path}); r.Credential != nil || !strings.HasPrefix(r.Warning, "runs as ") {
			t.Errorf("%s: %+v", path, r)
		}
	}
}

func TestNamedUserIsStrict(t *testing.T) {
	t.Parallel()
	if _, err := allot.Named("no-such-user"); semper.CodeOf(err) != semper.Invalid {
		t.Error(err)
	}
	if _, err := allot.Named("0:no-such-group"); semper.CodeOf(err) != semper.Invalid {
		t.Error(err)
	}
	r, err := allot.Named("4711:4712")
	if os.Getuid() == 0 {
		if err != nil || r.Credential == nil || r.Credential.UID != 4711 || r.Credential.GID != 4712 {
			t.Errorf("%+v, %v", r, err)
		}
	} else if semper.CodeOf(err) != semper.Forbidden {
		t.Errorf("%+v, %v", r, err)
	}
}

func TestCheck(t *testing.T) {
	t.Parallel()
	good := semper.InstanceSpec{
		ID: "a_b/web.r1.1", App: "a_b", Environment: "production", Service: "web", Release: "r1", Artifact: semper.DigestOf(nil),
		Spec: semper.Service{Command: []string{"x"}, Stop: semper.Stop{Signal: "SIGTERM"}},
	}
	if err := allot.Check(good); err != nil {
		t.Error(err)
	}
	for _, id := range []semper.InstanceID{"", "web", "a/b/c", "../x", "a/..", "a/.b", "a b/c", "a+/c", "a/b\n"} {
		bad := good
		bad.ID = id
		if err := allot.Check(bad); semper.CodeOf(err) != semper.Invalid {
			t.Errorf("%q: %v", id, err)
		}
	}
}

func TestEqualIsByWhatIsWritten(t *testing.T) {
	t.Parallel()
	a := grant().Spec
	b, err := json.Marshal(a)
	if err != nil {
		t.Fatal(err)
	}
	var back semper.InstanceSpec
	if err := json.Unmarshal(b, &back); err != nil {
		t.Fatal(err)
	}
	if !allot.Equal(a, back) {
		t.Error("a spec differs from itself read back")
	}
	back.Generation++
	if allot.Equal(a, back) {
		t.Error("generations differ")
	}
}
