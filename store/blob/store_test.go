package blob_test

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"semper"
	"semper/store/blob"
)

func TestStoredArtifactComesBack(t *testing.T) {
	t.Parallel()
	s := open(t)
	d, want := pack(t, tree(t, sample()))
	if has, err := s.Has(d); has || err != nil {
		t.Fatalf("Has before Put: %v, %v", has, err)
	}
	must(t, s.Put(t.Context(), d, bytes.NewReader(want)))
	if has, err := s.Has(d); !has || err != nil {
		t.Fatalf("Has after Put: %v, %v", has, err)
	}
	r, n, err := s.Open(d)
	must(t, err)
	got, err := io.ReadAll(r)
	must(t, err)
	must(t, r.Close())
	if size, err := s.Size(d); !bytes.Equal(got, want) || n != int64(len(want)) || size != n || err != nil {
		t.Fatalf("other bytes came back: %d of %d, Size %d, %v", n, len(want), size, err)
	}
	dir, err := s.Unpack(t.Context(), d)
	must(t, err)
	if dir != s.Tree(d) {
		t.Fatalf("unpacked to %s, Tree is %s", dir, s.Tree(d))
	}
	if again, _ := pack(t, dir); again != d {
		t.Fatalf("the tree packs to %s, not %s", again, d)
	}
	must(t, s.Verify(t.Context(), d))
	again, err := s.Unpack(t.Context(), d)
	if again != dir || err != nil {
		t.Errorf("the second time: %s, %v", again, err)
	}
	if left := tmp(t, s); len(left) != 0 {
		t.Errorf("left in tmp: %v", left)
	}
}

// root is the directory of s.
func root(s *blob.Store) string {
	return filepath.Dir(filepath.Dir(s.Tree(semper.DigestOf(nil))))
}

func tmp(t testing.TB, s *blob.Store) (names []string) {
	t.Helper()
	files, err := os.ReadDir(filepath.Join(root(s), "tmp"))
	must(t, err)
	for _, f := range files {
		names = append(names, f.Name())
	}
	return names
}

func packFile(s *blob.Store, d semper.Digest) string {
	return filepath.Join(root(s), "sha256", d.Hex()[:2], d.Hex())
}

func TestTreeIsReadOnlyForAllAndReadableByAll(t *testing.T) {
	t.Parallel()
	old := syscall.Umask(0o077) // of the process; other tests do not look at modes their umask makes
	s := open(t)
	d := put(t, s, tree(t, sample()))
	dir, err := s.Unpack(t.Context(), d)
	syscall.Umask(old)
	must(t, err)
	must(t, filepath.WalkDir(dir, func(p string, e fs.DirEntry, err error) error {
		must(t, err)
		fi, err := e.Info()
		must(t, err)
		want := map[bool]fs.FileMode{false: 0o444, true: 0o555}[e.IsDir() || e.Name() == "run"]
		if e.Type() != fs.ModeSymlink && fi.Mode().Perm() != want {
			t.Errorf("%s has mode %v, want %v", p, fi.Mode(), want)
		}
		return nil
	}))
	for _, p := range []string{root(s), filepath.Join(root(s), "trees")} {
		fi, err := os.Stat(p)
		must(t, err)
		if fi.Mode().Perm() != 0o755 {
			t.Errorf("%s has mode %v: an instance's user cannot get to its tree", p, fi.Mode())
		}
	}
}

func TestPutRefusesOtherBytes(t *testing.T) {
	t.Parallel()
	s := open(t)
	d := semper.DigestOf([]byte("promised"))
	wantCode(t, s.Put(t.Context(), d, strings.NewReader("delivered")), semper.Tampered, "not "+d.Short())
	broken := errors.New("connection reset")
	if err := s.Put(t.Context(), d, io.MultiReader(strings.NewReader("prom"), errReader{broken})); !errors.Is(err, broken) {
		t.Errorf("a reader that fails: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.Put(ctx, d, strings.NewReader("promised")); !errors.Is(err, context.Canceled) {
		t.Errorf("an ended context: %v", err)
	}
	for _, bad := range []semper.Digest{"", "sha256:", "sha256:../../../etc/passwd", "md5:00", d + "0", semper.Digest(strings.ToUpper(string(d)))} {
		wantCode(t, s.Put(t.Context(), bad, strings.NewReader("")), semper.Invalid, "is not a digest")
		_, err := s.Has(bad)
		wantCode(t, err, semper.Invalid, "is not a digest")
		_, _, err = s.Open(bad)
		wantCode(t, err, semper.Invalid, "is not a digest")
		_, err = s.Unpack(t.Context(), bad)
		wantCode(t, err, semper.Invalid, "is not a digest")
		wantCode(t, s.Verify(t.Context(), bad), semper.Invalid, "is not a digest")
		wantCode(t, s.Remove(bad), semper.Invalid, "is not a digest")
		if s.Tree(bad) != "" {
			t.Errorf("Tree(%q) is %s", bad, s.Tree(bad))
		}
	}
	if has, err := s.Has(d); has || err != nil || len(tmp(t, s)) != 0 {
		t.Errorf("something was left: %v %v %v", has, err, tmp(t, s))
	}
}

type errReader struct{ err error }

func (r errReader) Read([]byte) (int, error) { return 0, r.err }

func TestAbsentIsNotFound(t *testing.T) {
	t.Parallel()
	s := open(t)
	d := semper.DigestOf([]byte("x"))
	_, _, err := s.Open(d)
	wantCode(t, err, semper.NotFound, "not stored")
	_, err = s.Size(d)
	wantCode(t, err, semper.NotFound, "not stored")
	_, err = s.Unpack(t.Context(), d)
	wantCode(t, err, semper.NotFound, "not stored")
	wantCode(t, s.Verify(t.Context(), d), semper.NotFound, "not stored")
	must(t, s.Remove(d))
}

func TestUnpackRefusesWhatIsNoArtifact(t *testing.T) {
	t.Parallel()
	canon := func(name string) tar.Header {
		return tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: 0o644, ModTime: time.Unix(0, 0)}
	}
	dir := tar.Header{Typeflag: tar.TypeDir, Name: "d/", Mode: 0o755, ModTime: time.Unix(0, 0)}
	link := tar.Header{Typeflag: tar.TypeSymlink, Name: "d", Linkname: "/tmp", Mode: 0o777, ModTime: time.Unix(0, 0)}
	write := func(hs ...tar.Header) []byte {
		var b bytes.Buffer
		w := tar.NewWriter(&b)
		for _, h := range hs {
			must(t, w.WriteHeader(&h))
		}
		must(t, w.Close())
		return b.Bytes()
	}
	owned := canon("a")
	owned.Uid = 7
	outside := link
	outside.Linkname = ".."
	for name, c := range map[string]struct {
		bytes []byte
		words string
	}{
		"owner":         {write(owned), "canonical"},
		"order":         {write(canon("b"), canon("a")), "out of order"},
		"twice":         {write(canon("a"), canon("a")), "out of order"},
		"no parent":     {write(canon("d/a")), "before its directory"},
		"up":            {write(canon("../a")), "not a path"},
		"up inside":     {write(dir, canon("d/../../a")), "not a path"},
		"absolute":      {write(canon("/a")), "not a path"},
		"dot":           {write(canon("./a")), "not a path"},
		"through link":  {write(link, canon("d/a")), "before its directory"},
		"link absolute": {write(link), "absolute"},
		"link out":      {write(outside), "links out"},
		"trailer":       {append(write(canon("a")), 'x'), ""},
		"a text":        {[]byte(strings.Repeat("no tar ", 300)), "not an artifact"},
		"cut":           {write(canon("a"))[:300], "not an artifact"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := open(t)
			d := semper.DigestOf(c.bytes)
			must(t, s.Put(t.Context(), d, bytes.NewReader(c.bytes)))
			_, err := s.Unpack(t.Context(), d)
			if err == nil {
				t.Fatal("was unpacked")
			}
			wantCode(t, err, semper.Invalid, c.words)
			if _, err := os.Lstat(s.Tree(d)); !errors.Is(err, fs.ErrNotExist) || len(tmp(t, s)) != 0 {
				t.Errorf("something was left: %v, %v", err, tmp(t, s))
			}
		})
	}
}

func TestUnpackRefusesDamagedBytesAndPutMendsThem(t *testing.T) {
	t.Parallel()
	s := open(t)
	src := tree(t, sample())
	d := put(t, s, src)
	b, err := os.ReadFile(packFile(s, d))
	must(t, err)
	for _, at := range []int{0, 100, 600, len(b) / 2, len(b) - 1} {
		bad := bytes.Clone(b)
		bad[at] ^= 1
		must(t, os.WriteFile(packFile(s, d), bad, 0o600))
		_, err = s.Unpack(t.Context(), d)
		wantCode(t, err, semper.Tampered, "do not have its digest")
	}
	put(t, s, src)
	_, err = s.Unpack(t.Context(), d)
	must(t, err)
}

func TestManyUnpackAtOnce(t *testing.T) {
	t.Parallel()
	s := open(t)
	other, err := blob.Open(root(s)) // as another process would
	must(t, err)
	files := sample()
	for i := range 200 {
		files[fmt.Sprintf("many/%d", i)] = strings.Repeat("x", i*10)
	}
	d := put(t, s, tree(t, files))
	var wg sync.WaitGroup
	for i := range 12 {
		wg.Go(func() {
			who := []*blob.Store{s, other}[i%2]
			if _, err := who.Unpack(t.Context(), d); err != nil {
				t.Errorf("unpack: %v", err)
			}
			if err := who.Verify(t.Context(), d); err != nil {
				t.Errorf("verify: %v", err)
			}
		})
	}
	wg.Wait()
	if left := tmp(t, s); len(left) != 0 {
		t.Errorf("left in tmp: %v", left)
	}
}

func TestUnpackFinishesWhatACrashLeft(t *testing.T) {
	t.Parallel()
	s := open(t)
	d := put(t, s, tree(t, sample()))
	dir, err := s.Unpack(t.Context(), d)
	must(t, err)
	must(t, os.Chmod(dir, 0o700)) // as it is between the last two steps
	_, err = s.Unpack(t.Context(), d)
	must(t, err)
	fi, err := os.Stat(dir)
	must(t, err)
	if fi.Mode().Perm() != 0o555 {
		t.Errorf("mode is %v", fi.Mode())
	}
}

func TestFullDiskLeavesNothingBehind(t *testing.T) {
	t.Parallel()
	disk := t.TempDir()
	if err := unix.Mount("tmpfs", disk, "tmpfs", 0, "size=4m"); err != nil {
		t.Skipf("cannot mount a file system of a known size: %v", err)
	}
	t.Cleanup(func() { _ = unix.Unmount(disk, unix.MNT_DETACH) })
	s, err := blob.Open(filepath.Join(disk, "blobs"))
	must(t, err)
	big, bytesOfBig := pack(t, tree(t, map[string]string{"x": strings.Repeat("big", 2<<20)}))
	wantCode(t, s.Put(t.Context(), big, bytes.NewReader(bytesOfBig)), semper.NoSpace, "full")
	half := put(t, s, tree(t, map[string]string{"a": strings.Repeat("x", 1<<20), "b": strings.Repeat("y", 1<<20), "d/c": "1"}))
	_, err = s.Unpack(t.Context(), half)
	wantCode(t, err, semper.NoSpace, "full")
	if _, err := os.Lstat(s.Tree(half)); !errors.Is(err, fs.ErrNotExist) || len(tmp(t, s)) != 0 {
		t.Errorf("left behind: %v, %v", err, tmp(t, s))
	}
	small := put(t, s, tree(t, map[string]string{"a": "1"})) // there is room again
	_, err = s.Unpack(t.Context(), small)
	must(t, err)
}

// Root may write anywhere. What the modes do to an ordinary user is seen as one.
func TestAsAnOrdinaryUser(t *testing.T) {
	t.Parallel()
	if os.Getuid() != 0 {
		t.Skip("is one already")
	}
	dir, err := os.MkdirTemp("", "s")
	must(t, err)
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	must(t, os.Chmod(dir, 0o777))
	exe, err := os.Executable()
	must(t, err)
	b, err := os.ReadFile(exe)
	must(t, err)
	copied := filepath.Join(dir, "blob.test")
	must(t, os.WriteFile(copied, b, 0o755))
	cmd := exec.Command(copied, "-test.run", "Comes|Unpack|Remove|GC|Verif|Tamper|Property|Unreadable", "-test.short")
	cmd.Dir = dir
	cmd.Env = []string{"TMPDIR=" + dir, "HOME=" + dir, "PATH=" + os.Getenv("PATH")}
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v: %s", err, out)
	}
}

func TestUnreadableFileIsNamed(t *testing.T) {
	t.Parallel()
	if os.Getuid() == 0 {
		t.Skip("root reads everything")
	}
	dir := tree(t, map[string]string{"secret.key": "x"})
	must(t, os.Chmod(filepath.Join(dir, "secret.key"), 0))
	_, _, err := blob.Pack(io.Discard, dir, blob.Ignore{})
	wantCode(t, err, semper.Invalid, "secret.key")
	if !strings.Contains(semper.HintOf(err), blob.IgnoreFile) {
		t.Errorf("the hint is %q", semper.HintOf(err))
	}
}
