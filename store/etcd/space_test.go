package etcd_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"semper"
	"semper/store/etcd"
)

// smallDisk is an empty file system of size bytes.
func smallDisk(t *testing.T, size int) string {
	t.Helper()
	dir := t.TempDir()
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, fmt.Sprintf("size=%d", size)); err != nil {
		t.Skipf("cannot mount a file system of a known size: %v", err)
	}
	t.Cleanup(func() { _ = unix.Unmount(dir, unix.MNT_DETACH) })
	return dir
}

// occupy takes space on dir's file system until only left bytes are free.
func occupy(t *testing.T, dir string, left int64) (free func()) {
	t.Helper()
	var st unix.Statfs_t
	must(t, unix.Statfs(dir, &st))
	f, err := os.Create(filepath.Join(dir, "others"))
	must(t, err)
	size := int64(st.Bavail)*st.Bsize - left
	for unix.Fallocate(int(f.Fd()), 0, 0, size) != nil { // the server takes some at the same time
		if size -= 1 << 18; size <= 0 {
			t.Fatal("nothing to occupy")
		}
	}
	must(t, f.Close())
	return func() { must(t, os.Remove(f.Name())) }
}

// until commits until one ends in code; "" is success.
func until(t *testing.T, c semper.Store, code semper.Code) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for {
		_, err := c.Commit(ctx, semper.Txn{Then: []semper.Write{{Key: "until", Value: []byte("1")}}})
		if semper.CodeOf(err) == code {
			return
		}
		if ctx.Err() != nil {
			t.Fatalf("no commit ends in %q, the last in %v", code, err)
		}
	}
}

func TestNearlyFullDiskRefusesPuts(t *testing.T) {
	t.Parallel()
	disk := smallDisk(t, 400<<20)
	srv := newServerIn(t, filepath.Join(disk, "store"))
	srv.start()
	c := srv.client(t, etcd.Options{})
	put(t, c, "a", "1")
	if fi, err := os.Stat(filepath.Join(srv.dir, "ballast")); err != nil || fi.Size() != etcd.Ballast {
		t.Fatalf("the ballast is %v, %v", fi, err)
	}
	free := occupy(t, disk, etcd.Floor/2)
	until(t, c, semper.NoSpace)
	if _, err := os.Stat(filepath.Join(srv.dir, "ballast")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the ballast is still there: %v", err)
	}
	it, err := c.Get(t.Context(), "a")
	must(t, err)
	if string(it.Value) != "1" {
		t.Errorf("a is %q", it.Value)
	}
	_, err = c.Commit(t.Context(), semper.Txn{Then: []semper.Write{{Key: "a", Delete: true}}})
	must(t, err)
	srv.kill() // the refusal outlives the process, and so does the way out of it
	srv.start()
	until(t, c, semper.NoSpace)
	free()
	until(t, c, "")
}

// When the disk fills up at once the process may end, but what it acknowledged stays.
func TestFullDiskLosesNothing(t *testing.T) {
	t.Parallel()
	disk := smallDisk(t, 400<<20)
	srv := newServerIn(t, filepath.Join(disk, "store"))
	srv.start()
	c := srv.client(t, etcd.Options{Patience: 200 * time.Millisecond})
	until(t, c, "")
	free := occupy(t, disk, 0)
	acked := 0
	for i := range 60 {
		v := bytes.Repeat([]byte{byte(i)}, 1<<19)
		if _, err := c.Commit(t.Context(), semper.Txn{Then: []semper.Write{{Key: fmt.Sprintf("k/%02d", i), Value: v}}}); err != nil {
			t.Logf("after %d commits: %v", acked, err)
			break
		}
		acked++
	}
	if acked == 60 {
		t.Error("30 MiB went onto a full disk")
	}
	srv.kill()
	free()
	srv.start()
	until(t, c, "")
	items, _, err := c.List(t.Context(), "k/")
	must(t, err)
	if len(items) < acked || len(items) > acked+1 { // the one that was refused may have been applied
		t.Errorf("%d commits were acknowledged, %d are there", acked, len(items))
	}
	for i, it := range items {
		if !bytes.Equal(it.Value, bytes.Repeat([]byte{byte(i)}, 1<<19)) {
			t.Errorf("%s has another value", it.Key)
		}
	}
}
