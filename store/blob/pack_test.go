package blob_test

import (
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
	"pgregory.net/rapid"

	"semper"
	"semper/store/blob"
)

// The digest is what releases are named by: it must not change with a version of semper or of Go.
func TestDigestIsForEver(t *testing.T) {
	t.Parallel()
	files := sample()
	files[strings.Repeat("long/", 60)+"name"] = "4"
	files["ünï/cödé"] = "5"
	const want = "sha256:ba924e0a7bd3e0603f02dc092783b6a9fead2587d6916c517af174ae7238bb7e"
	if d, _ := pack(t, tree(t, files)); d != want {
		t.Errorf("digest is %s, want %s", d, want)
	}
	if d, b := pack(t, t.TempDir()); len(b) != 1024 || d != semper.DigestOf(make([]byte, 1024)) {
		t.Errorf("nothing packs to %d bytes", len(b))
	}
}

func TestDigestIsOfTheFilesAlone(t *testing.T) {
	t.Parallel()
	files := sample()
	want, _ := pack(t, tree(t, files))
	names := slices.Collect(func(yield func(string) bool) {
		for n := range files {
			if !yield(n) {
				return
			}
		}
	})
	for i := range 10 {
		rand.Shuffle(len(names), func(i, j int) { names[i], names[j] = names[j], names[i] })
		dir := t.TempDir()
		for _, n := range names {
			fill(t, dir, map[string]string{n: files[n]})
		}
		must(t, filepath.WalkDir(dir, func(p string, d os.DirEntry, err error) error {
			if err != nil || d.Type() == os.ModeSymlink {
				return err
			}
			fi, err := d.Info()
			if err != nil {
				return err
			}
			at := time.Unix(rand.Int64N(2e9), rand.Int64N(1e9))
			return os.Chtimes(p, at, at.Add(time.Duration(fi.Size())))
		}))
		// What a umask takes, and what else a mode can have, is no part of it.
		must(t, os.Chmod(filepath.Join(dir, "app.py"), []os.FileMode{0o600, 0o644, 0o666, 0o444, 0o655}[i%5]))
		must(t, os.Chmod(filepath.Join(dir, "bin/run"), []os.FileMode{0o700, 0o755, 0o777, 0o555, 0o711}[i%5]))
		must(t, os.Chmod(filepath.Join(dir, "empty"), []os.FileMode{0o700, 0o755, 0o777 | os.ModeSetgid, 0o555, 0o711}[i%5]))
		if got, _ := pack(t, dir); got != want {
			t.Errorf("round %d: %s, not %s", i, got, want)
		}
	}
	link := filepath.Join(t.TempDir(), "link")
	must(t, os.Symlink(tree(t, files), link))
	if got, _ := pack(t, link); got != want {
		t.Errorf("by way of a link: %s", got)
	}
}

func TestEveryDifferenceIsADifferentDigest(t *testing.T) {
	t.Parallel()
	seen := map[semper.Digest]string{}
	try := func(what string, change func(map[string]string)) {
		files := sample()
		change(files)
		d, _ := pack(t, tree(t, files))
		if other, dup := seen[d]; dup {
			t.Errorf("%s is the same as %s", what, other)
		}
		seen[d] = what
	}
	try("as it is", func(map[string]string) {})
	try("content", func(f map[string]string) { f["app.py"] = "print(2)\n" })
	try("executable", func(f map[string]string) { f["app.py"] = "#!print(1)\n" })
	try("name", func(f map[string]string) { f["App.py"] = f["app.py"]; delete(f, "app.py") })
	try("one more", func(f map[string]string) { f["x"] = "" })
	try("one less", func(f map[string]string) { delete(f, "nothing") })
	try("no directory", func(f map[string]string) { delete(f, "empty/") })
	try("target", func(f map[string]string) { f["lib/here"] = "->a" })
	try("file for link", func(f map[string]string) { f["lib/here"] = "../app.py" })
	try("file for directory", func(f map[string]string) { delete(f, "empty/"); f["empty"] = "" })
}

func TestHardLinksAreFiles(t *testing.T) {
	t.Parallel()
	want, _ := pack(t, tree(t, map[string]string{"a": "same", "b": "same"}))
	dir := tree(t, map[string]string{"a": "same"})
	must(t, os.Link(filepath.Join(dir, "a"), filepath.Join(dir, "b")))
	if got, _ := pack(t, dir); got != want {
		t.Errorf("%s, not %s", got, want)
	}
}

func TestPackRefuses(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		files map[string]string
		make  func(dir string) error
		words string
	}{
		"absolute link":     {files: map[string]string{"etc": "->/etc"}, words: "etc links to the absolute path /etc"},
		"link out":          {files: map[string]string{"a/up": "->../../x"}, words: "a/up links out of the artifact"},
		"link out and in":   {files: map[string]string{"up": "->../" + "back/in"}, words: "up links out"},
		"by another link":   {files: map[string]string{"a/b/top": "->../..", "a/c": "->b/top/.."}, words: "a/c links out"},
		"socket":            {make: func(d string) error { return listen(filepath.Join(d, "s")) }, words: "s is a socket"},
		"pipe":              {make: func(d string) error { return unix.Mkfifo(filepath.Join(d, "p"), 0o600) }, words: "p is a pipe"},
		"device":            {make: func(d string) error { return unix.Mknod(filepath.Join(d, "null"), unix.S_IFCHR|0o600, 1<<8|3) }, words: "null is a device"},
		"not there":         {make: os.Remove, words: "no such file"},
		"not a directory":   {make: func(d string) error { return os.WriteFile(d+"/../file", nil, 0o600) }, words: "not a directory"},
		"absolute by chain": {files: map[string]string{"a": "->b", "b": "->/b"}, words: "b links to the absolute path"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := tree(t, c.files)
			if c.make != nil {
				err := c.make(dir)
				if os.IsPermission(err) {
					t.Skipf("cannot make one: %v", err)
				}
				must(t, err)
			}
			if name == "not a directory" {
				dir += "/../file"
			}
			_, _, err := blob.Pack(io.Discard, dir, blob.Ignore{})
			if err == nil {
				t.Fatal("was packed")
			}
			wantCode(t, err, semper.Invalid, c.words)
		})
	}
}

func listen(path string) error {
	// A short relative path would race with other tests for the working directory; the address of a socket may be
	// longer than the kernel takes, so it is made under a short name and moved.
	dir, err := os.MkdirTemp("", "s")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: filepath.Join(dir, "s"), Net: "unix"})
	if err != nil {
		return err
	}
	l.SetUnlinkOnClose(false)
	defer l.Close()
	return os.Rename(filepath.Join(dir, "s"), path)
}

func TestLinksThatStayInsideAreKept(t *testing.T) {
	t.Parallel()
	s := open(t)
	dir := tree(t, map[string]string{
		"a/b/file": "1", "a/up": "->../a/b/file", "top": "->.", "a/dangling": "->nowhere/at/all", "ring1": "->ring2", "ring2": "->ring1",
		"a/b/deep": "->../..", "odd": "->a//b/./file",
	})
	d := put(t, s, dir)
	out, err := s.Unpack(t.Context(), d)
	must(t, err)
	for name, want := range map[string]string{"a/up": "../a/b/file", "odd": "a//b/./file", "a/b/deep": "../..", "ring1": "ring2"} {
		if got, err := os.Readlink(filepath.Join(out, name)); got != want || err != nil {
			t.Errorf("%s links to %q, %v", name, got, err)
		}
	}
	must(t, s.Verify(t.Context(), d))
}

func TestFileThatChangesIsRefused(t *testing.T) {
	t.Parallel()
	dir := tree(t, map[string]string{"a": strings.Repeat("x", 1<<20), "b": strings.Repeat("x", 1<<20)})
	w := writerFunc(func(p []byte) (int, error) { // while "a" is written, "b" grows
		return len(p), os.WriteFile(filepath.Join(dir, "b"), []byte("shorter"), 0o600)
	})
	_, _, err := blob.Pack(w, dir, blob.Ignore{})
	wantCode(t, err, semper.Invalid, "b changed while")
	_, _, err = blob.Pack(writerFunc(func([]byte) (int, error) { return 0, syscall.ENOSPC }), dir, blob.Ignore{})
	wantCode(t, err, semper.NoSpace, "full")
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }

// Whatever files there are: packing is a function of them, and unpacking its inverse.
func TestPackUnpackProperty(t *testing.T) {
	t.Parallel()
	s := open(t)
	rapid.Check(t, func(rt *rapid.T) {
		dir, err := os.MkdirTemp(t.TempDir(), "p")
		must(t, err)
		files := map[string]string{}
		name := rapid.StringMatching(`[a-zA-Z0-9 .ä-]{1,12}`)
		for range rapid.IntRange(0, 12).Draw(rt, "files") {
			depth := rapid.IntRange(1, 4).Draw(rt, "depth")
			parts := rapid.SliceOfN(name, depth, depth).Draw(rt, "path")
			p := strings.Join(parts, "/")
			if slices.ContainsFunc(parts, func(s string) bool { return s == "." || s == ".." }) || clash(files, p) {
				continue
			}
			files[p] = string(rapid.SliceOfN(rapid.Byte(), 0, 2000).Draw(rt, "bytes"))
		}
		fill(t, dir, files)
		d, b := pack(t, dir)
		must(t, s.Put(t.Context(), d, bytes.NewReader(b)))
		out, err := s.Unpack(t.Context(), d)
		must(t, err)
		for p, want := range files {
			got, err := os.ReadFile(filepath.Join(out, p))
			if len(want) > 2 && want[:2] == "->" {
				continue
			}
			if err != nil || string(got) != want {
				rt.Fatalf("%s came back otherwise: %v", p, err)
			}
		}
		if again, _ := pack(t, out); again != d {
			rt.Fatalf("packs to %s, then to %s", d, again)
		}
		var normal bytes.Buffer
		if again, _, err := blob.PackTar(&normal, bytes.NewReader(b)); again != d || err != nil || !bytes.Equal(normal.Bytes(), b) {
			rt.Fatalf("PackTar of a canonical tar gives %s, %v", again, err)
		}
	})
}

// clash reports whether p is a directory of another path, or the other way round.
func clash(files map[string]string, p string) bool {
	for q := range files {
		if p == q || strings.HasPrefix(p, q+"/") || strings.HasPrefix(q, p+"/") {
			return true
		}
	}
	return false
}

func TestIgnore(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ rules, paths, ignored string }{
		{"*.pyc", "a.pyc x/y/b.pyc a.py", "a.pyc x/y/b.pyc"},
		{"/build", "build x/build", "build"},
		{"build/", "build/ x/build/ y/build", "build/ x/build/"},
		{"a/*.txt", "a/x.txt b/a/x.txt a/b/x.txt", "a/x.txt"},
		{"**/tmp", "tmp a/tmp a/b/tmp", "tmp a/tmp a/b/tmp"},
		{"a/**/z", "a/z a/b/z a/b/c/z z", "a/z a/b/z a/b/c/z"},
		{"logs/**", "logs/ logs/a logs/a/b", "logs/a logs/a/b"},
		{"*.log\n!keep.log", "a.log keep.log", "a.log"},
		{"!keep.log\n*.log", "keep.log", "keep.log"},
		{"# no\n\n  \n\\#yes\n\\!also", "#yes !also no", "#yes !also"},
		{"[ab].c\n[!x]y", "a.c c.c xy zy", "a.c zy"},
		{"file?", "file1 file12 x/fileA", "file1 x/fileA"},
		{"trailing  ", "trailing", "trailing"},
		{"cr\r", "cr", "cr"},
		{"/", "a", ""},
		{"node_modules", "node_modules/ web/node_modules/", "node_modules/ web/node_modules/"},
	} {
		g, err := blob.ParseIgnore(c.rules)
		must(t, err)
		var got []string
		for p := range strings.FieldsSeq(c.paths) {
			if g.Match(strings.TrimSuffix(p, "/"), strings.HasSuffix(p, "/")) {
				got = append(got, p)
			}
		}
		if strings.Join(got, " ") != c.ignored {
			t.Errorf("%q ignores %q of %q, want %q", c.rules, got, c.paths, c.ignored)
		}
	}
	if _, err := blob.ParseIgnore("ok\n[a"); err == nil || !strings.Contains(err.Error(), ":2:") {
		t.Errorf("a broken glob: %v", err)
	}
}

func TestIgnoredFilesAreNotPacked(t *testing.T) {
	t.Parallel()
	want, _ := pack(t, tree(t, map[string]string{"app.py": "1", "keep/x": "2", blob.IgnoreFile: "*.pyc\nskip/\n", "logs/": ""}))
	dir := tree(t, map[string]string{
		"app.py": "1", "keep/x": "2", blob.IgnoreFile: "*.pyc\nskip/\n", "logs/a.pyc": "", "skip/y": "3", "app.pyc": "",
		".git/config": "", "keep/.git": "gitdir: elsewhere", ".hg/x": "", "sub/.svn/x": "",
	})
	must(t, os.Remove(filepath.Join(dir, "sub/.svn/x")))
	must(t, os.Remove(filepath.Join(dir, "sub/.svn")))
	must(t, os.Remove(filepath.Join(dir, "sub")))
	// What is left out may be what else would be refused.
	must(t, unix.Mkfifo(filepath.Join(dir, "skip/pipe"), 0o600))
	must(t, unix.Mkfifo(filepath.Join(dir, "x.pyc"), 0o600))
	ignore, err := blob.LoadIgnore(dir)
	must(t, err)
	got, _, err := blob.Pack(io.Discard, dir, ignore)
	must(t, err)
	if got != want {
		t.Errorf("%s, not %s", got, want)
	}
	none, err := blob.LoadIgnore(t.TempDir())
	must(t, err)
	if !none.Match(".git", true) || none.Match("a", false) {
		t.Error("the built-in rules are not there")
	}
	bad := tree(t, map[string]string{blob.IgnoreFile: "x\n\n[\n"})
	_, err = blob.LoadIgnore(bad)
	wantCode(t, err, semper.Invalid, fmt.Sprintf("%s:3:", blob.IgnoreFile))
}
