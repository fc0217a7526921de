package e2e_test

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// load asks the edge in closed loops until the returned function is called, which reports failures.
func (s *server) load(clients int) func() (total int64, failures []string) {
	var (
		stop  atomic.Bool
		count atomic.Int64
		mu    sync.Mutex
		bad   []string
		wg    sync.WaitGroup
	)
	for range clients {
		wg.Go(func() {
			c := http.Client{Timeout: 60 * time.Second, Transport: &http.Transport{}}
			defer c.CloseIdleConnections()
			for !stop.Load() {
				if err := whole(&c, "http://"+s.http+"/"); err != nil {
					mu.Lock()
					bad = append(bad, fmt.Sprintf("%s: %v", time.Now().UTC().Format(time.StampMilli), err))
					mu.Unlock()
				}
				count.Add(1)
			}
		})
	}
	return func() (int64, []string) {
		stop.Store(true)
		wg.Wait()
		return count.Load(), bad
	}
}

// whole is one request whose answer must be entirely of the release it names.
func whole(c *http.Client, url string) error {
	resp, err := c.Get(url)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		return err
	}
	if resp.StatusCode != 200 {
		return fmt.Errorf("%s: %s", resp.Status, b)
	}
	if rel, _, _ := strings.Cut(string(b), " "); rel != resp.Header.Get("X-Semper-Release") {
		return fmt.Errorf("body of %q with the header of %q", rel, resp.Header.Get("X-Semper-Release"))
	}
	return nil
}

func none(t *testing.T, what string, stop func() (int64, []string)) {
	t.Helper()
	n, bad := stop()
	if n == 0 {
		t.Fatalf("%s: no request was made", what)
	}
	if len(bad) > 0 {
		t.Errorf("%s: %d of %d requests failed:\n%s", what, len(bad), n, strings.Join(bad[:min(5, len(bad))], "\n"))
	}
}

func TestDeploysUnderLoadLoseNothing(t *testing.T) {
	t.Parallel()
	s := start(t)
	a, b := app(t, "one", "", ""), app(t, "two", "", "")
	s.must("deploy", "-f", a)
	stop := s.load(8)
	for i := range 6 {
		s.must("deploy", "-f", []string{b, a}[i%2])
		s.serves([]string{"r2", "r1"}[i%2], []string{"two", "one"}[i%2])
	}
	s.must("rollback", "-y")
	s.serves("r2", "two")
	none(t, "six deploys and a rollback", stop)
	l := s.status().Ledger
	for rel, c := range l {
		if c.EdgeErrors+c.Cut+c.Shed+c.AppErrors > 0 {
			t.Errorf("ledger of %s: %+v", rel, c)
		}
	}
}

func TestKilledPartsComeBack(t *testing.T) {
	t.Parallel()
	s := start(t)
	s.must("deploy", "-f", app(t, "one", "", ""))
	for _, kind := range []string{"store", "control"} {
		stop := s.load(4)
		pid := s.part(kind)
		if pid == 0 {
			t.Fatalf("no %s", kind)
		}
		if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		eventually(t, kind+" is replaced", func() bool { p := s.part(kind); return p != 0 && p != pid })
		eventually(t, "a change works again after "+kind, func() bool { return s.cli("restart").code == 0 })
		none(t, "kill -9 of "+kind, stop)
	}
	stop := s.load(4)
	in := s.status().Instances[0]
	if err := syscall.Kill(in.PID, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the instance is replaced", func() bool {
		for _, i := range s.status().Instances {
			if i.ID == in.ID {
				return i.PID != in.PID && i.State == "ready"
			}
		}
		return false
	})
	none(t, "kill -9 of an instance", stop)

	edge := s.part("edge")
	if err := syscall.Kill(edge, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	if code, body := s.get("/"); code != 200 {
		t.Errorf("a connection made while there is no edge is not served: %d %s", code, body)
	}
}

func TestKilledKeeperIsTakenOver(t *testing.T) {
	t.Parallel()
	s := start(t)
	s.must("deploy", "-f", app(t, "one", "", ""))
	before := s.status()
	edge, store := s.part("edge"), s.part("store")
	stop := s.load(4)
	if err := s.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = s.cmd.Wait()
	if code, _ := s.get("/"); code != 200 {
		t.Errorf("without a keeper the edge answers %d", code)
	}
	s.run()
	eventually(t, "control sees the new keeper", func() bool {
		r := s.cli("status", "-o", "json")
		return r.code == 0 && !strings.Contains(r.out, "keeper is away")
	})
	none(t, "kill -9 of the keeper", stop)
	if s.part("edge") != edge || s.part("store") != store {
		t.Error("living parts were replaced instead of adopted")
	}
	after := s.status()
	pids := func(ids []int) string { return fmt.Sprint(ids) }
	var x, y []int
	for i := range before.Instances {
		x = append(x, before.Instances[i].PID)
	}
	for i := range after.Instances {
		y = append(y, after.Instances[i].PID)
	}
	if pids(x) != pids(y) {
		t.Errorf("instances %v became %v: they must be adopted", x, y)
	}
	s.must("deploy", "-f", app(t, "two", "", ""))
	s.serves("r2", "two")
}

func TestRebootComesBackAsItWas(t *testing.T) {
	t.Parallel()
	s := start(t)
	s.must("deploy", "-f", app(t, "one", "", ""))
	s.must("deploy", "-f", app(t, "two", "", ""))
	s.must("scale", "web=3")
	for _, pid := range s.processes() {
		_ = syscall.Kill(pid, syscall.SIGKILL)
	}
	_ = s.cmd.Wait()
	eventually(t, "everything is dead", func() bool { return len(s.processes()) == 0 })
	s.run()
	eventually(t, "it serves again", func() bool { code, _ := s.get("/"); return code == 200 })
	s.serves("r2", "two")
	eventually(t, "three are ready", func() bool {
		n := 0
		for _, i := range s.status().Instances {
			if i.State == "ready" && i.Release == "r2" {
				n++
			}
		}
		return n == 3
	})
}

func TestUpgradeInPlace(t *testing.T) {
	t.Parallel()
	s := start(t)
	s.must("deploy", "-f", app(t, "one", "", ""))
	pid, edge, store, control := s.cmd.Process.Pid, s.part("edge"), s.part("store"), s.part("control")
	before := s.status().Instances
	stop := s.load(4)
	s.must("server", "upgrade", "--binary", built.semper)
	none(t, "upgrade", stop)
	if s.part("keeper") != pid {
		t.Errorf("the keeper's pid changed from %d to %d", pid, s.part("keeper"))
	}
	for kind, old := range map[string]int{"edge": edge, "store": store, "control": control} {
		// The upgrade is done when the new part serves; the old one may still finish what it has.
		eventually(t, kind+" is replaced", func() bool {
			now := s.part(kind)
			return now != old && now != 0
		})
	}
	after := s.status().Instances
	for i := range before {
		if after[i].PID != before[i].PID {
			t.Errorf("%s was restarted by the upgrade", before[i].ID)
		}
	}
	s.must("deploy", "-f", app(t, "two", "", ""))
	s.serves("r2", "two")
}

func TestSocketAndNotify(t *testing.T) {
	t.Parallel()
	s := start(t)
	s.must("deploy", "-f", app(t, "sock", "", "    listen: socket"))
	s.serves("r1", "sock")
	dir := app(t, "notify", "notify", "")
	b, err := os.ReadFile(dir + "/semper.yaml")
	if err != nil {
		t.Fatal(err)
	}
	write(t, dir+"/semper.yaml", strings.Replace(string(b), "path: /,", "notify: true,", 1), 0o644)
	s.must("deploy", "-f", dir)
	s.serves("r2", "notify")
}

func TestHoldAndResume(t *testing.T) {
	t.Parallel()
	s := start(t)
	s.must("deploy", "-f", app(t, "one", "", ""))
	s.must("hold")
	got := make(chan string, 1)
	go func() { _, body := s.get("/"); got <- body }()
	eventually(t, "the request is held", func() bool {
		return strings.Contains(s.must("ledger", "-o", "json"), `"held": 1`) || s.status().Ledger["r1"].Held == 1
	})
	s.must("deploy", "-f", app(t, "two", "", ""))
	select {
	case body := <-got:
		t.Fatalf("a held request was answered: %s", body)
	default:
	}
	s.must("resume")
	if body := <-got; body != "r2 two" {
		t.Errorf("after resume the held request got %q, want what is current", body)
	}
}
