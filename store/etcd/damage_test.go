package etcd_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"

	"semper"
	"semper/store"
	"semper/store/etcd"
)

// Whatever was acknowledged is there after kill -9, once; and nothing was applied twice.
func TestKilledWhileWriting(t *testing.T) {
	t.Parallel()
	const writers = 6
	rounds := 8
	if testing.Short() {
		rounds = 2
	}
	srv := newServer(t)
	srv.start()
	c := srv.client(t, etcd.Options{})
	var acked atomic.Int64
	counts := make([]int64, writers)
	kill := make(chan struct{}, 1)
	var target atomic.Int64
	target.Store(20)
	stop := make(chan struct{})
	var wg sync.WaitGroup
	for n := range writers {
		wg.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				if _, err := increment(c, fmt.Sprintf("n/%d", n)); err != nil {
					t.Errorf("writer %d: %v", n, err)
					return
				}
				counts[n]++
				if acked.Add(1) == target.Load() {
					kill <- struct{}{}
				}
			}
		})
	}
	for range rounds {
		<-kill
		srv.kill()
		target.Store(acked.Load() + 1 + rand.Int64N(300))
		srv.start()
	}
	close(stop)
	wg.Wait()
	srv.kill()
	srv.start()
	for n, want := range counts {
		it, err := c.Get(t.Context(), fmt.Sprintf("n/%d", n))
		must(t, err)
		if string(it.Value) != fmt.Sprint(want) {
			t.Errorf("writer %d was told of %d increments, there are %s", n, want, it.Value)
		}
	}
	t.Logf("%d commits over %d kills", acked.Load(), rounds)
}

func raw(t *testing.T, srv *server) *clientv3.Client {
	t.Helper()
	c, err := clientv3.New(clientv3.Config{Endpoints: []string{"unix://" + srv.socket}, Logger: zap.NewNop()})
	must(t, err)
	t.Cleanup(func() { must(t, c.Close()) })
	return c
}

func TestDamagedValueIsCorrupt(t *testing.T) {
	t.Parallel()
	srv := newServer(t)
	srv.start()
	c, r := srv.client(t, etcd.Options{}), raw(t, srv)
	rev := put(t, c, "k/a", "precious")
	put(t, c, "k/b", "also precious")
	const root = "/semper/v1/"
	got, err := r.Get(t.Context(), root+"k/a")
	must(t, err)
	sound := got.Kvs[0].Value
	for i := 1; i < len(sound); i++ {
		bad := bytes.Clone(sound)
		bad[i] ^= 1 << (i % 8)
		_, err := r.Put(t.Context(), root+"k/a", string(bad))
		must(t, err)
		wantCorrupt(t, c, "k/a")
	}
	for name, bad := range map[string][]byte{"empty": nil, "short": sound[:20], "cut": sound[:len(sound)-1], "longer": append(bytes.Clone(sound), 0), "schema 0": append([]byte{0}, sound[1:]...)} {
		_, err := r.Put(t.Context(), root+"k/a", string(bad))
		must(t, err)
		t.Log(name)
		wantCorrupt(t, c, "k/a")
	}
	if _, _, err := c.List(t.Context(), "k/"); !errors.Is(err, semper.ErrCorrupt) {
		t.Errorf("List: %v, want ErrCorrupt", err)
	}
	for _, lax := range []bool{false, true} { // a lax scan goes past it
		var seen []string
		_, err := c.Scan(t.Context(), []store.Range{{Prefix: "k/", Lax: lax}}, func(it semper.Item) error {
			seen = append(seen, string(it.Value))
			return nil
		})
		if lax && (err != nil || !slices.Equal(seen, []string{"", "also precious"})) || !lax && !errors.Is(err, semper.ErrCorrupt) {
			t.Errorf("a scan, lax: %v, gives %q, %v", lax, seen, err)
		}
	}
	w, err := c.Watch(t.Context(), "k/a", rev)
	must(t, err)
	if batch, open := <-w; open {
		t.Errorf("the watch gives %v", batch)
	}
	// A sound value in a place that is not its own.
	_, err = r.Put(t.Context(), root+"k/c", string(sound))
	must(t, err)
	wantCorrupt(t, c, "k/c")
	_, err = r.Put(t.Context(), root+"k/d", string(append([]byte{9}, sound[1:]...)))
	must(t, err)
	if _, err := c.Get(t.Context(), "k/d"); err == nil || errors.Is(err, semper.ErrCorrupt) || !strings.Contains(semper.HintOf(err), "newer") {
		t.Errorf("a newer schema: %v", err)
	}
	it, err := c.Get(t.Context(), "k/b")
	must(t, err)
	if string(it.Value) != "also precious" {
		t.Errorf("its neighbour is %q", it.Value)
	}
}

func wantCorrupt(t *testing.T, c semper.Store, key string) {
	t.Helper()
	it, err := c.Get(t.Context(), key)
	if !errors.Is(err, semper.ErrCorrupt) || semper.CodeOf(err) != semper.Tampered || !strings.Contains(err.Error(), key) {
		t.Errorf("Get(%s) gives %q, %v, want ErrCorrupt", key, it.Value, err)
	}
}

// etcd's database has no checksums: a flipped bit there is found by ours or not at all.
func TestFlippedBitInTheDatabase(t *testing.T) {
	t.Parallel()
	srv := newServer(t)
	srv.start()
	c := srv.client(t, etcd.Options{})
	put(t, c, "a", "a value to be found in the file")
	put(t, c, "b", "sound")
	must(t, srv.stop())
	flip(t, filepath.Join(srv.dir, "member", "snap", "db"), []byte("value to be found"))
	srv.start()
	wantCorrupt(t, c, "a")
	it, err := c.Get(t.Context(), "b")
	must(t, err)
	if string(it.Value) != "sound" {
		t.Errorf("its neighbour is %q", it.Value)
	}
}

// flip changes one bit in every place where file has text.
func flip(t *testing.T, file string, text []byte) {
	t.Helper()
	b, err := os.ReadFile(file)
	must(t, err)
	if !bytes.Contains(b, text) {
		t.Fatalf("%s does not have %q", file, text)
	}
	other := bytes.Clone(text)
	other[3] ^= 4
	must(t, os.WriteFile(file, bytes.ReplaceAll(b, text, other), 0o600))
}

// newestLog is the log file that is being written, and the end of what was written to it.
func newestLog(t *testing.T, srv *server) (path string, b []byte, end int) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(srv.dir, "member", "wal", "*.wal"))
	must(t, err)
	path = files[len(files)-1]
	b, err = os.ReadFile(path)
	must(t, err)
	return path, b, len(bytes.TrimRight(b, "\x00"))
}

// A record torn by a power cut was not acknowledged: all before it are there, and the store starts.
func TestTornEndOfTheLog(t *testing.T) {
	t.Parallel()
	srv := newServer(t)
	srv.start()
	c := srv.client(t, etcd.Options{})
	for i := range 100 {
		put(t, c, fmt.Sprintf("k/%02d", i), "1")
	}
	put(t, c, "torn", strings.Repeat("x", 16<<10))
	srv.kill()
	path, b, end := newestLog(t, srv)
	clear(b[end-4096:])
	must(t, os.WriteFile(path, b, 0o600))
	srv.start()
	items, _, err := c.List(t.Context(), "k/")
	must(t, err)
	if len(items) != 100 {
		t.Errorf("%d of 100 acknowledged keys are there", len(items))
	}
	put(t, c, "k/after", "1")
}

// Damage elsewhere in the log must not pass for a short log.
func TestDamagedLogRefusesToStart(t *testing.T) {
	t.Parallel()
	srv := newServer(t)
	srv.start()
	c := srv.client(t, etcd.Options{})
	for i := range 50 {
		put(t, c, fmt.Sprintf("k/%02d", i), strings.Repeat("precious", 20))
	}
	srv.kill()
	path, b, end := newestLog(t, srv)
	for i := range 8 { // a record is padded by up to 7 bytes, which mean nothing
		b[end/2+i] ^= 0x10
	}
	must(t, os.WriteFile(path, b, 0o600))
	srv.launch()
	srv.reap()
	select {
	case err := <-srv.exited:
		if err == nil {
			t.Error("the server ended as if all were well")
		}
	case <-time.After(time.Minute):
		srv.kill()
		t.Fatal("the server runs as if all were well")
	}
	log := srv.log()
	srv.cmd = nil
	if log == "" || strings.Contains(log, "goroutine ") {
		t.Errorf("the server said: %s", log)
	}
}

func TestCompactedHistory(t *testing.T) {
	t.Parallel()
	srv := newServer(t)
	srv.start()
	c, r := srv.client(t, etcd.Options{}), raw(t, srv)
	l, err := c.Lead(t.Context(), "role", "a")
	must(t, err)
	old := put(t, c, "k", "1")
	put(t, c, "k", "2")
	now := put(t, c, "k", "3")
	_, err = r.Compact(t.Context(), now, clientv3.WithCompactPhysical())
	must(t, err)
	w, err := c.Watch(t.Context(), "k", old)
	must(t, err)
	if batch, open := <-w; open {
		t.Errorf("a watch from before what is left gives %v", batch)
	}
	// Whoever waits for a role whose holder is older than the history, and the holder, still hear of its end.
	next := make(chan semper.Leadership, 1)
	go func() {
		l, err := c.Lead(t.Context(), "role", "b")
		if err != nil {
			t.Errorf("Lead: %v", err)
		}
		next <- l
	}()
	_, err = c.Commit(t.Context(), semper.Txn{If: []semper.Condition{l.Fence()}, Then: []semper.Write{{Key: l.Fence().Key, Delete: true}}})
	must(t, err)
	<-l.Done()
	if l := <-next; l != nil {
		_, err = c.Commit(t.Context(), semper.Txn{If: []semper.Condition{l.Fence()}})
		must(t, err)
	}
}

func TestSecondServerIsRefused(t *testing.T) {
	t.Parallel()
	srv := newServer(t)
	srv.start()
	err := etcd.Serve(t.Context(), etcd.ServeOptions{Dir: srv.dir, Socket: srv.socket})
	if semper.CodeOf(err) != semper.Conflict {
		t.Errorf("a second server on the directory: %v", err)
	}
	put(t, srv.client(t, etcd.Options{}), "a", "1") // and left the first one alone
	fi, err := os.Lstat(srv.socket)
	must(t, err)
	if fi.Mode() != fs.ModeSocket|0o600 {
		t.Errorf("the socket has mode %v", fi.Mode())
	}
}

func TestServeSaysWhyItCannot(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "file")
	must(t, os.WriteFile(file, nil, 0o600))
	err := etcd.Serve(context.Background(), etcd.ServeOptions{Dir: filepath.Join(file, "store"), Socket: "s"})
	if err == nil || !strings.Contains(err.Error(), file) {
		t.Errorf("error is %v", err)
	}
	dir := t.TempDir()
	err = etcd.Serve(context.Background(), etcd.ServeOptions{Dir: dir, Socket: filepath.Join(dir, strings.Repeat("long", 40))})
	if err == nil {
		t.Error("a socket path that is too long")
	}
}
