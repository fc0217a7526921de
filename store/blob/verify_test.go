package blob_test

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"semper"
	"semper/store/blob"
)

// settled is a store whose records count at once.
func settled(t testing.TB) *blob.Store {
	t.Helper()
	s := open(t)
	s.Ahead(time.Minute)
	return s
}

// writable lets change work on the directory that holds path.
func writable(t *testing.T, path string, change func() error) {
	t.Helper()
	dir := filepath.Dir(path)
	must(t, os.Chmod(dir, 0o755))
	must(t, change())
	must(t, os.Chmod(dir, 0o555))
}

// tampering is a change to a tree and what Verify has to say about it.
type tampering struct {
	tamper func(t *testing.T, dir string)
	words  string
}

// rewrite gives a file other bytes and takes care that nothing else of it changes, as somebody would who hides it.
func rewrite(name, content string) func(*testing.T, string) {
	return func(t *testing.T, dir string) {
		p := filepath.Join(dir, name)
		fi, err := os.Stat(p)
		must(t, err)
		must(t, os.Chmod(p, 0o644))
		must(t, os.WriteFile(p, []byte(content), 0o644))
		must(t, os.Chmod(p, fi.Mode()))
		must(t, os.Chtimes(p, fi.ModTime(), fi.ModTime()))
	}
}

// in changes the directory that name is in.
func in(name string, change func(path string) error) func(*testing.T, string) {
	return func(t *testing.T, dir string) {
		p := filepath.Join(dir, name)
		writable(t, p, func() error { return change(p) })
	}
}

func contentTamperings() map[string]tampering {
	return map[string]tampering{
		"content, same size": {rewrite("app.py", "print(2)\n"), "app.py differs"},
		"content, longer":    {rewrite("lib/a", "12"), "lib/a differs"},
		"content, emptied":   {rewrite("lib.d/x/y/z", ""), "lib.d/x/y/z differs"},
		"added file":         {in("lib/b", func(p string) error { return os.WriteFile(p, nil, 0o444) }), "extra file lib/b"},
		"added first":        {in("AAA", func(p string) error { return os.WriteFile(p, nil, 0o444) }), "extra file AAA"},
		"added last":         {in("zzz", func(p string) error { return os.WriteFile(p, nil, 0o444) }), "extra file zzz"},
		"added directory":    {in("lib/__pycache__", func(p string) error { return os.Mkdir(p, 0o555) }), "extra file lib/__pycache__"},
		"added pipe":         {in("pipe", func(p string) error { return unix.Mkfifo(p, 0o444) }), "extra file pipe"},
		"removed file":       {in("lib/a", os.Remove), "lib/a is missing"},
		"removed last":       {in("nothing", os.Remove), "nothing is missing"},
		"removed directory":  {in("empty", os.Remove), "empty is missing"},
		"renamed":            {in("app.py", func(p string) error { return os.Rename(p, p+"c") }), "app.py is missing"},
	}
}

func kindTamperings() map[string]tampering {
	chmod := func(name string, mode fs.FileMode) func(*testing.T, string) {
		return func(t *testing.T, dir string) { must(t, os.Chmod(filepath.Join(dir, name), mode)) }
	}
	return map[string]tampering{
		"executable":          {chmod("app.py", 0o555), "app.py differs"},
		"not executable":      {chmod("bin/run", 0o444), "bin/run differs"},
		"writable":            {chmod("app.py", 0o644), "app.py has mode"},
		"writable directory":  {chmod("lib", 0o755), "lib has mode"},
		"setuid":              {chmod("bin/run", 0o555|fs.ModeSetuid), "bin/run has mode"},
		"link elsewhere":      {in("lib/here", func(p string) error { return errors.Join(os.Remove(p), os.Symlink("a", p)) }), "lib/here differs"},
		"link out":            {in("lib/here", func(p string) error { return errors.Join(os.Remove(p), os.Symlink("/etc/passwd", p)) }), "lib/here differs"},
		"file for link":       {in("lib/here", func(p string) error { return errors.Join(os.Remove(p), os.WriteFile(p, nil, 0o444)) }), "lib/here differs"},
		"link for file":       {in("app.py", func(p string) error { return errors.Join(os.Remove(p), os.Symlink("lib-a", p)) }), "app.py differs"},
		"another, same bytes": {in("app.py", func(p string) error { return swap(p, "print(1)\n", 0o644) }), "app.py has mode"},
	}
}

func TestTamperedTreeIsFound(t *testing.T) {
	t.Parallel()
	all := contentTamperings()
	maps.Copy(all, kindTamperings())
	for name, c := range all {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := settled(t)
			d := put(t, s, tree(t, sample()))
			dir, err := s.Unpack(t.Context(), d)
			must(t, err)
			must(t, s.Verify(t.Context(), d)) // there is a record now
			c.tamper(t, dir)
			for range 2 {
				err := s.Verify(t.Context(), d)
				if err == nil {
					t.Fatal("passed")
				}
				wantCode(t, err, semper.Tampered, c.words)
			}
			if _, err := s.Unpack(t.Context(), d); semper.CodeOf(err) != semper.Tampered {
				t.Errorf("Unpack: %v", err)
			}
			if semper.HintOf(s.Verify(t.Context(), d)) == "" {
				t.Error("nothing says what to do")
			}
			// What the hint says is enough.
			must(t, removeAll(dir))
			_, err = s.Unpack(t.Context(), d)
			must(t, err)
			must(t, s.Verify(t.Context(), d))
		})
	}
}

func swap(path, content string, mode fs.FileMode) error {
	return errors.Join(os.Remove(path), os.WriteFile(path, []byte(content), mode), os.Chmod(path, mode))
}

func removeAll(dir string) error {
	err := filepath.WalkDir(dir, func(p string, e fs.DirEntry, err error) error {
		if err == nil && e.IsDir() {
			err = os.Chmod(p, 0o700)
		}
		return err
	})
	return errors.Join(err, os.RemoveAll(dir))
}

func TestVerifyAfterATouchThatChangedNothing(t *testing.T) {
	t.Parallel()
	s := settled(t)
	d := put(t, s, tree(t, sample()))
	dir, err := s.Unpack(t.Context(), d)
	must(t, err)
	must(t, s.Verify(t.Context(), d))
	wantFast(t, s, d, true)
	p := filepath.Join(dir, "app.py")
	must(t, os.Chtimes(p, time.Now(), time.Now()))
	wantFast(t, s, d, false)
	must(t, s.Verify(t.Context(), d))
	wantFast(t, s, d, true)
	writable(t, p, func() error { return swap(p, "print(1)\n", 0o444) })
	wantFast(t, s, d, false)
	must(t, s.Verify(t.Context(), d))
	wantFast(t, s, d, true)
}

func wantFast(t *testing.T, s *blob.Store, d semper.Digest, want bool) {
	t.Helper()
	if got, err := blob.LooksUnchanged(s, d); got != want || err != nil {
		t.Errorf("the fast path says %v, %v, want %v", got, err, want)
	}
}

// A change within the same tick of the clock as the record may leave every time as it was.
func TestRecordAsYoungAsItsTreeIsNotTrusted(t *testing.T) {
	t.Parallel()
	s := open(t)
	s.Ahead(0)
	d := put(t, s, tree(t, sample()))
	_, err := s.Unpack(t.Context(), d)
	must(t, err)
	s.Ahead(-time.Hour) // the system's clock was set back meanwhile
	must(t, s.Verify(t.Context(), d))
	wantFast(t, s, d, false)
	s.Ahead(time.Hour)
	must(t, s.Verify(t.Context(), d))
	wantFast(t, s, d, true)
}

func TestDamagedRecordIsNoRecord(t *testing.T) {
	t.Parallel()
	s := settled(t)
	d := put(t, s, tree(t, sample()))
	_, err := s.Unpack(t.Context(), d)
	must(t, err)
	must(t, s.Verify(t.Context(), d))
	path := filepath.Join(root(s), "records", d.Hex())
	b, err := os.ReadFile(path)
	must(t, err)
	for name, bad := range map[string][]byte{"empty": nil, "cut": b[:len(b)/2], "zeros": make([]byte, len(b)), "flipped": append([]byte{b[0] ^ 1}, b[1:]...)} {
		must(t, os.WriteFile(path, bad, 0o600))
		wantFast(t, s, d, false)
		if err := s.Verify(t.Context(), d); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		wantFast(t, s, d, true)
	}
}

func TestVerifyNeedsNoStoredBytes(t *testing.T) {
	t.Parallel()
	s := settled(t)
	d := put(t, s, tree(t, sample()))
	dir, err := s.Unpack(t.Context(), d)
	must(t, err)
	must(t, os.Remove(packFile(s, d)))
	must(t, s.Verify(t.Context(), d))
	p := filepath.Join(dir, "app.py")
	writable(t, p, func() error { return os.Remove(p) })
	wantCode(t, s.Verify(t.Context(), d), semper.Tampered, "not what was deployed")
}

func TestVerifyAtOnce(t *testing.T) {
	t.Parallel()
	s := settled(t)
	d := put(t, s, tree(t, sample()))
	_, err := s.Unpack(t.Context(), d)
	must(t, err)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			if err := s.Verify(t.Context(), d); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	wantFast(t, s, d, true)
}

// big is an artifact of 10 MB in files of various sizes.
func big(b *testing.B) string {
	files := map[string]string{}
	for i := range 100 {
		files[fmt.Sprintf("lib/%d/module", i)] = strings.Repeat(fmt.Sprintf("%08d", i), 1<<10)
	}
	files["bin/app"] = "#!" + strings.Repeat("code", 2300<<10)
	return tree(b, files)
}

func BenchmarkPackPutUnpack10MB(b *testing.B) {
	src := big(b)
	s := open(b)
	for b.Loop() {
		d := put(b, s, src)
		_, err := s.Unpack(b.Context(), d)
		must(b, err)
		b.StopTimer()
		must(b, s.Remove(d))
		b.StartTimer()
	}
}

func BenchmarkVerifyUntouched(b *testing.B) {
	s := settled(b)
	d := put(b, s, big(b))
	_, err := s.Unpack(b.Context(), d)
	must(b, err)
	must(b, s.Verify(b.Context(), d))
	for b.Loop() {
		must(b, s.Verify(b.Context(), d))
	}
}

func BenchmarkVerifyWhole(b *testing.B) {
	s := open(b)
	s.Ahead(-time.Hour)
	d := put(b, s, big(b))
	_, err := s.Unpack(b.Context(), d)
	must(b, err)
	for b.Loop() {
		must(b, s.Verify(b.Context(), d))
	}
}
