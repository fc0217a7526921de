package process

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"semper"
)

func TestWhatCannotStartSaysWhy(t *testing.T) {
	t.Parallel()
	file := func(mode os.FileMode, name, content string) func(*testing.T, *Options) {
		return func(t *testing.T, o *Options) {
			path := filepath.Join(o.Dir, name)
			if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, []byte(content), mode); err != nil {
				t.Fatal(err)
			}
			o.Env = []string{"PATH=bin:/nonexistent"}
		}
	}
	elfHeader := "\x7fELF\x02\x01\x01" + strings.Repeat("\x00", 9) + "\x02\x00\xf3\x00\x01\x00\x00\x00" + strings.Repeat("\x00", 40)
	for name, c := range map[string]struct {
		argv          []string
		set           func(*testing.T, *Options)
		message, hint string
	}{
		"no command":                  {nil, nil, "no command", "command"},
		"unknown":                     {[]string{"srever"}, file(0o755, "bin/server", ""), "srever not found in PATH", `did you mean server?`},
		"unlike anything":             {[]string{"qqqqqqqq"}, file(0o755, "bin/server", ""), "qqqqqqqq not found", "install it"},
		"not in PATH":                 {[]string{"server"}, file(0o755, "server", ""), "not found in PATH", "./server"},
		"closed in PATH":              {[]string{"server"}, file(0o644, "bin/server", ""), "not executable", "chmod +x"},
		"unknown path":                {[]string{"./bin/serve"}, file(0o755, "bin/server", ""), "./bin/serve does not exist", "./bin/server"},
		"no such folder":              {[]string{"./bin/x/serve"}, file(0o755, "bin/x", ""), "does not exist", ""},
		"folder":                      {[]string{"./bin"}, file(0o755, "bin/server", ""), "is a directory", ""},
		"not executable":              {[]string{"./app"}, file(0o644, "app", "#!/bin/sh\n"), "./app is not executable", "chmod +x ./app"},
		"no interpreter":              {[]string{"./app"}, file(0o755, "app", "#!/usr/bin/nope -x\n"), "needs the interpreter /usr/bin/nope", "install"},
		"windows":                     {[]string{"./app"}, file(0o755, "app", "#!/bin/sh\r\n"), "Windows line ends", "dos2unix"},
		"no first line":               {[]string{"./app"}, file(0o755, "app", "echo hello\n"), "neither a program nor a script", "#!/bin/sh"},
		"another machine":             {[]string{"./app"}, file(0o755, "app", elfHeader), "is built for riscv, this machine is", "GOARCH"},
		"no directory":                {[]string{"true"}, func(_ *testing.T, o *Options) { o.Dir += "/nope" }, "does not exist", ""},
		"too long":                    {[]string{"true", strings.Repeat("x", 3<<20)}, nil, "too long", ""},
		"log in a folder that is not": {[]string{"true"}, func(_ *testing.T, o *Options) { o.Output = o.Dir + "/nope/log" }, "its log", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := options(t, c.argv...)
			if c.set != nil {
				c.set(t, &o)
			}
			p, err := Start(o)
			if err == nil {
				p.Kill()
				<-p.Done()
				t.Fatal("it started")
			}
			if !strings.Contains(err.Error(), c.message) || !strings.Contains(semper.HintOf(err), c.hint) {
				t.Errorf("error %q with hint %q, want %q with %q", err, semper.HintOf(err), c.message, c.hint)
			}
			if !strings.HasPrefix(err.Error(), "start "+t.Name()+": ") {
				t.Errorf("error %q does not begin with the name", err)
			}
		})
	}
}

func TestPreStart(t *testing.T) {
	t.Parallel()
	tampered := errors.New("tampered")
	o := options(t, "sh", "-c", "echo ran")
	o.PreStart = func() error { return tampered }
	if _, err := Start(o); !errors.Is(err, tampered) {
		t.Errorf("error %v", err)
	}
	if lines, _ := Tail(o.Output, 1, 0); len(lines) != 0 {
		t.Errorf("it ran: %q", lines)
	}
}

func TestUserThatCannotReachIt(t *testing.T) {
	t.Parallel()
	root(t)
	o := options(t, "./app")
	if err := os.WriteFile(filepath.Join(o.Dir, "app"), []byte("#!/bin/sh\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	o.Credential = &Credential{UID: 54321, GID: 54321}
	_, err := Start(o)
	if err == nil || !strings.Contains(err.Error(), "user 54321 cannot use") {
		t.Errorf("error %v", err)
	}
}

func TestDistance(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		a, b string
		want int
	}{{"", "", 0}, {"abc", "abc", 0}, {"abc", "acb", 1}, {"pyhton3", "python3", 1}, {"node", "nodes", 1}, {"node", "no", 2}, {"abc", "xyz", 3}, {"a", "abcdefgh", 4}} {
		if got := distance(c.a, c.b, 4); got != c.want {
			t.Errorf("distance(%q, %q) = %d, want %d", c.a, c.b, got, c.want)
		}
	}
}

func TestReachable(t *testing.T) {
	t.Parallel()
	root(t)
	const owner, member, other = 50001, 50002, 50003
	base, err := os.MkdirTemp("", "s")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(base) })
	must := func(errs ...error) {
		t.Helper()
		if err := errors.Join(errs...); err != nil {
			t.Fatal(err)
		}
	}
	dir, file := filepath.Join(base, "dir"), filepath.Join(base, "dir", "file")
	must(os.Chmod(base, 0o755), os.Mkdir(dir, 0o700), os.WriteFile(file, nil, 0o600), os.Symlink("dir/../dir/file", filepath.Join(base, "link")),
		os.Symlink("loop", filepath.Join(base, "loop")))
	must(os.Chown(dir, owner, member), os.Chown(file, owner, member), os.Chmod(dir, 0o710), os.Chmod(file, 0o750))
	for _, c := range []struct {
		path     string
		uid, gid int
		ok       bool
	}{
		{file, owner, owner, true}, {file, other, member, true}, {file, other, other, false}, {file, 0, 0, true},
		{dir, owner, owner, true}, {dir, other, member, false}, {filepath.Join(base, "link"), other, member, true},
		{filepath.Join(base, "link"), other, other, false}, {filepath.Join(base, "loop"), 0, 0, false}, {filepath.Join(base, "none"), 0, 0, false},
	} {
		if err := Reachable(c.path, c.uid, c.gid); (err == nil) != c.ok {
			t.Errorf("Reachable(%s, %d, %d) = %v", c.path, c.uid, c.gid, err)
		}
	}
}

func TestListening(t *testing.T) {
	t.Parallel()
	o := role(t, "listen")
	o.Argv = []string{"sh", "-c", os.Args[0] + "; true"} // a child of what is asked for
	p := start(t, o)
	want := firstLine(t, o)
	got, err := Listening(p.PID())
	if err != nil || len(got) != 1 || got[0] != want {
		t.Errorf("listening on %q, want %q (%v)", got, want, err)
	}
	if _, err := Listening(1 << 23); err == nil {
		t.Error("no error for no process")
	}
}

func TestParseAddress(t *testing.T) {
	t.Parallel()
	if !littleEndian() {
		t.Skip("the examples are of a little-endian machine")
	}
	for in, want := range map[string]string{
		"0100007F:1F90":                         "127.0.0.1:8080",
		"00000000:0050":                         "0.0.0.0:80",
		"00000000000000000000000001000000:1F40": "[::1]:8000",
		"00000000000000000000000000000000:1F40": "[::]:8000",
	} {
		if got, ok := parseAddress(in); !ok || got != want {
			t.Errorf("%s is %q, want %q", in, got, want)
		}
	}
	for _, in := range []string{"", ":", "01:02", "zz00007F:1F90", "0100007F"} {
		if got, ok := parseAddress(in); ok {
			t.Errorf("%q is %q", in, got)
		}
	}
}
