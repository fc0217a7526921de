package certs

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

var errNo = errors.New("the authority says no")

// script is an authority that follows one, and remembers when it was asked.
type script struct {
	t     *testing.T
	ca    *ca
	do    func(try int) (certificate bool, err error)
	tries chan int // attempt numbers, as they come
	mu    sync.Mutex
	when  []time.Time
}

// at is when it was asked.
func (s *script) at() []time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.when)
}

func (s *script) load(context.Context, string) (*tls.Certificate, error) {
	return nil, fs.ErrNotExist
}

func (s *script) obtain(ctx context.Context, name string, attempt int) (*tls.Certificate, error) {
	s.mu.Lock()
	s.when = append(s.when, time.Now())
	try := len(s.when)
	s.mu.Unlock()
	s.tries <- attempt
	has, err := s.do(try)
	if err == nil {
		err = ctx.Err()
	}
	if !has {
		return nil, err
	}
	return s.ca.one(s.t, FromACME, "ecdsa", time.Now().Add(24*time.Hour), name).tls, err
}

// inBubble runs test with a Manager whose authority is do, where time is virtual.
func inBubble(t *testing.T, a *ACME, do func(try int) (bool, error), test func(m *Manager, s *script, told *events)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		s := &script{t: t, ca: newCA(t), do: do, tries: make(chan int, 1000)}
		var told events
		a.Agreed = true
		m, err := newManager(Options{Dir: t.TempDir(), ACME: a, Observe: told.observe}, s)
		if err != nil {
			t.Fatal(err)
		}
		defer m.Close()
		test(m, s, &told)
	})
}

func hello(name string) *tls.ClientHelloInfo { return &tls.ClientHelloInfo{ServerName: name} }

// TestAPanicCostsOneName breaks what sees to one name: it goes on after a while, and nobody else notices.
func TestAPanicCostsOneName(t *testing.T) {
	t.Parallel()
	inBubble(t, &ACME{Names: []string{"a.example", "b.example"}}, func(try int) (bool, error) {
		if try == 1 {
			panic("a bug")
		}
		return true, nil
	}, func(m *Manager, s *script, _ *events) {
		for range 3 { // the one that broke is tried again
			<-s.tries
		}
		synctest.Wait()
		for _, name := range []string{"a.example", "b.example"} {
			c, err := m.certificate(hello(name))
			if err != nil || c == nil {
				t.Errorf("%s: %v, %v", name, c, err)
			}
		}
		restarts := 0
		for _, c := range m.Background().Children() {
			restarts += c.Restarts
		}
		if restarts != 1 {
			t.Errorf("%d restarts", restarts)
		}
	})
}

func TestBackoff(t *testing.T) {
	t.Parallel()
	for failures, want := range map[int]time.Duration{1: time.Minute, 2: 2 * time.Minute, 5: 16 * time.Minute, 9: 256 * time.Minute, 10: 6 * time.Hour, 1000: 6 * time.Hour} {
		for range 100 {
			if d := backoff(failures); d < want*4/5 || d > want*6/5 {
				t.Fatalf("%d failures: %v, want about %v", failures, d, want)
			}
		}
	}
}

// TestTryAgain: failures are tried again ever later, and told; then the certificate is looked at as often as configured.
func TestTryAgain(t *testing.T) {
	t.Parallel()
	inBubble(t, &ACME{Names: []string{"a.example"}}, func(try int) (bool, error) {
		if try <= 3 {
			return false, errNo
		}
		return true, nil
	}, func(m *Manager, s *script, told *events) {
		for want := range 4 {
			if got := <-s.tries; got != want {
				t.Errorf("try with %d failures, want %d", got, want)
			}
			synctest.Wait()
			if c, err := m.answer(context.Background(), hello("a.example")); err != nil || (c != nil) != (want == 3) {
				t.Errorf("after %d failures: %v, %v", want, c, err)
			}
		}
		for i, want := range []time.Duration{time.Minute, 2 * time.Minute, 4 * time.Minute} {
			if d := s.at()[i+1].Sub(s.at()[i]); d < want*4/5 || d > want*6/5 {
				t.Errorf("wait %d: %v, want about %v", i, d, want)
			}
		}
		all := told.take()
		if len(all) != 4 || !errors.Is(all[0].Err, errNo) || all[3].Err != nil || all[3].Name != "a.example" || all[3].Source != FromACME {
			t.Errorf("events %v", all)
		}
		before := time.Now()
		<-s.tries
		if d := time.Since(before); d < defaultCheck*4/5 || d > defaultCheck*6/5 {
			t.Errorf("looked at again after %v", d)
		}
	})
}

// TestRenewalFails: what there is goes on being served.
func TestRenewalFails(t *testing.T) {
	t.Parallel()
	inBubble(t, &ACME{Names: []string{"a.example"}}, func(try int) (bool, error) {
		switch try {
		case 1:
			return true, nil
		case 2:
			return false, errNo // not even what there is could be read
		}
		return true, errNo // it could not be renewed
	}, func(m *Manager, s *script, _ *events) {
		for range 4 {
			<-s.tries
			synctest.Wait()
			if c, err := m.answer(context.Background(), hello("a.example")); c == nil || err != nil {
				t.Errorf("nothing is served: %v", err)
			}
		}
	})
}

// TestHandshakesWait for the first try, and for none after it.
func TestHandshakesWait(t *testing.T) {
	t.Parallel()
	inBubble(t, &ACME{Names: []string{"a.example"}}, func(int) (bool, error) {
		time.Sleep(10 * time.Second) // virtual: an authority takes its time
		return false, errNo
	}, func(m *Manager, _ *script, _ *events) {
		began := time.Now()
		c, err := m.answer(context.Background(), hello("a.example"))
		if c != nil || err != nil || time.Since(began) != 10*time.Second {
			t.Errorf("%v, %v after %v; want none after the try", c, err, time.Since(began))
		}
		began = time.Now()
		if c, _ := m.answer(context.Background(), hello("a.example")); c != nil || time.Since(began) != 0 {
			t.Errorf("waited %v for what is known not to be", time.Since(began))
		}
	})
}

func TestOnDemand(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	asked := map[string]int{}
	count := func(name string) int { mu.Lock(); defer mu.Unlock(); return asked[name] }
	inBubble(t, &ACME{Allow: func(_ context.Context, name string) error {
		mu.Lock()
		asked[name]++
		mu.Unlock()
		if name != "ours.example" {
			return fmt.Errorf("%s is not ours", name)
		}
		return nil
	}}, func(try int) (bool, error) {
		time.Sleep(time.Second)
		if try == 1 {
			return false, errNo
		}
		return true, nil
	}, func(m *Manager, s *script, _ *events) {
		for _, name := range []string{"not.example", "", "a..b", "*.example", "ours.example/x"} {
			if c, err := m.answer(context.Background(), hello(name)); c != nil || err != nil {
				t.Errorf("%q: %v, %v", name, c, err)
			}
		}
		if count("a..b")+count("*.example")+count("ours.example/x")+count("") != 0 || len(s.at()) != 0 {
			t.Errorf("asked for what is no name, or tried %d", len(s.at()))
		}
		// The first try fails: those who waited for it get nothing, and nobody tries for a while.
		if c, _ := m.answer(context.Background(), hello("ours.example")); c != nil {
			t.Error("a certificate out of nothing")
		}
		if c, _ := m.answer(context.Background(), hello("ours.example")); c != nil || len(s.at()) != 1 {
			t.Errorf("tried %d times", len(s.at()))
		}
		time.Sleep(2 * time.Minute)
		synctest.Wait()
		m.mu.Lock()
		if len(m.managed) != 0 {
			t.Error("a name that failed is never forgotten")
		}
		m.mu.Unlock()
		if len(s.at()) != 1 {
			t.Errorf("tried %d times for nobody", len(s.at()))
		}
		// Asked for again, by many at once: one try for all.
		got := make(chan bool, 50)
		for range cap(got) {
			go func() {
				c, err := m.answer(context.Background(), hello("ours.example"))
				got <- c != nil && err == nil
			}()
		}
		for range cap(got) {
			if !<-got {
				t.Error("no certificate")
			}
		}
		if len(s.at()) != 2 {
			t.Errorf("tried %d times", len(s.at()))
		}
		// Whoever has it is not asked about again.
		before := count("ours.example")
		if c, _ := m.answer(context.Background(), hello("ours.example")); c == nil || count("ours.example") != before {
			t.Error("asked again")
		}
		time.Sleep(2 * defaultCheck)
		if len(s.at()) < 3 {
			t.Error("nobody sees to it afterwards")
		}
	})
}

// hanging is an authority that never answers, and has something kept or not.
type hanging struct{ kept *tls.Certificate }

func (h hanging) load(context.Context, string) (*tls.Certificate, error) {
	if h.kept == nil {
		return nil, fs.ErrNotExist
	}
	return h.kept, nil
}

func (hanging) obtain(ctx context.Context, _ string, _ int) (*tls.Certificate, error) {
	<-ctx.Done()
	return nil, ctx.Err()
}

// TestWhatIsKeptIsServed at once, while the authority does not answer: as many names as there are.
func TestWhatIsKeptIsServed(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var names []string
		for i := range 50 {
			names = append(names, fmt.Sprintf("n%d.example", i))
		}
		kept := newCA(t).one(t, FromACME, "ecdsa", time.Now().Add(24*time.Hour), names...)
		m, err := newManager(Options{Dir: t.TempDir(), ACME: &ACME{Names: names, Agreed: true}}, hanging{kept.tls})
		if err != nil {
			t.Fatal(err)
		}
		defer m.Close()
		began := time.Now()
		for _, n := range names {
			if c, err := m.answer(t.Context(), hello(n)); c != kept.tls || err != nil {
				t.Errorf("%s: %v, %v", n, c, err)
			}
		}
		if d := time.Since(began); d != 0 {
			t.Errorf("waited %v", d)
		}
	})
}

// TestCloseWhileTrying ends the try, and tells nobody that there is no certificate.
func TestCloseWhileTrying(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var told events
		m, err := newManager(Options{Dir: t.TempDir(), ACME: &ACME{Names: []string{"a.example", "b.example"}, Agreed: true}, Observe: told.observe},
			hanging{})
		if err != nil {
			t.Fatal(err)
		}
		waiting := make(chan struct{})
		go func() { defer close(waiting); m.answer(context.Background(), hello("a.example")) }()
		synctest.Wait()
		m.Close()
		<-waiting
		if all := told.take(); len(all) != 0 {
			t.Errorf("events %v", all)
		}
		if m.tend("c.example", true) != nil {
			t.Error("begun after the end")
		}
	})
}

// TestDefaultIsTheFirstConfigured, in whatever order they come.
func TestDefaultIsTheFirstConfigured(t *testing.T) {
	t.Parallel()
	inBubble(t, &ACME{Names: []string{"b.example", "a.example"}}, func(int) (bool, error) { return true, nil }, func(m *Manager, s *script, _ *events) {
		<-s.tries
		<-s.tries
		synctest.Wait()
		c, err := m.answer(context.Background(), hello(""))
		if err != nil || c == nil || c.Leaf.DNSNames[0] != "b.example" {
			t.Errorf("%v, %v", c, err)
		}
	})
}
