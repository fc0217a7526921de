package sticky

import (
	"encoding/base64"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"testing"
	"time"
)

// blind is s without its keys: it believes what it knows, and nothing else.
func blind(s *Signer) *Signer {
	b := &Signer{scope: s.scope}
	b.known.Store(s.known.Load())
	return b
}

func TestAKnownValueNeedsNoKey(t *testing.T) {
	t.Parallel()
	s := signer(t, "known", key2, key1)
	before := signer(t, "known", key1, nil)
	for i, value := range [][]byte{
		s.Append(nil, s.Tag("r1"), s.Tag("i1"), now.Add(time.Hour)),
		before.Append(nil, before.Tag("r2"), before.Tag("i2"), now.Add(time.Minute)),
	} {
		want, err := s.Open(value, now)
		if err != nil {
			t.Fatal(err)
		}
		b := blind(s)
		if got, err := b.Open(value, now); err != nil || got != want || got.key != i {
			t.Errorf("known, it says %+v, %v; want %+v", got, err, want)
		}
		if _, err := b.Open(value, want.Expires); !errors.Is(err, ErrExpired) {
			t.Errorf("known, at its expiry: %v", err)
		}
		raw, err := base64.RawURLEncoding.DecodeString(string(value))
		if err != nil {
			t.Fatal(err)
		}
		for bit := range len(raw) * 8 {
			raw[bit/8] ^= 1 << (bit % 8)
			forged := base64.RawURLEncoding.EncodeToString(raw)
			raw[bit/8] ^= 1 << (bit % 8)
			if _, err := s.Open([]byte(forged), now); !errors.Is(err, ErrForged) && !errors.Is(err, ErrMalformed) {
				t.Fatalf("bit %d of a known value changed: %v", bit, err)
			}
		}
	}
}

func TestOnlyWhatIsBelievedBecomesKnown(t *testing.T) {
	t.Parallel()
	s, other := signer(t, "believed", key1, nil), signer(t, "elsewhere", key1, nil)
	for _, value := range [][]byte{
		other.Append(nil, other.Tag("r1"), other.Tag("i1"), now.Add(time.Hour)), s.Append(nil, s.Tag("r1"), s.Tag("i1"), now.Add(-time.Hour)),
	} {
		for range 2 {
			if _, err := s.Open(value, now); err == nil {
				t.Fatal("it is believed")
			}
		}
		if s.known.Load() != nil {
			t.Error("it is known")
		}
	}
}

// TestMoreValuesThanSlots has more clients than are remembered, from several goroutines: everybody is who he says he is.
func TestMoreValuesThanSlots(t *testing.T) {
	t.Parallel()
	s := signer(t, "many", key1, nil)
	const places, n = ways << setBits, 3 * ways << setBits
	values, tags := make([][]byte, n), make([]Tag, n)
	for i := range values {
		tags[i] = Tag{uint64(i) + 1}
		values[i] = s.Append(nil, tags[i], Tag{}, now.Add(time.Hour))
	}
	var wg sync.WaitGroup
	for g := range 4 {
		wg.Go(func() {
			for i := range n {
				at := (i*(2*g+1) + g) % n
				if c, err := s.Open(values[at], now); err != nil || !c.IsRelease(tags[at]) || !c.Expires.Equal(now.Add(time.Hour)) {
					t.Errorf("client %d is taken for %+v, %v", at, c, err)
					return
				}
			}
		})
	}
	wg.Wait()
	remembered, b := 0, blind(s)
	for i := range values {
		if _, err := b.Open(values[i], now); err == nil {
			remembered++
		}
	}
	if remembered > places || remembered < places/2 {
		t.Errorf("%d values are remembered, of %d places", remembered, places)
	}
}

// TestWhoComesAgainIsKnown has as many clients as a site may have at a time come in turn: hardly anybody's place is another's.
func TestWhoComesAgainIsKnown(t *testing.T) {
	t.Parallel()
	s := signer(t, "again", key1, nil)
	const n = ways << setBits / 8
	values := make([][]byte, n)
	for i := range values {
		values[i] = s.Append(nil, Tag{uint64(i) + 1}, Tag{}, now.Add(time.Hour))
		if _, err := s.Open(values[i], now); err != nil {
			t.Fatal(err)
		}
	}
	missed, b := 0, blind(s)
	for i := range values {
		if _, err := b.Open(values[i], now); err != nil {
			missed++
		}
	}
	if missed > n/100 {
		t.Errorf("%d of %d are not known any more", missed, n)
	}
}

func TestASignerIsTheSameWhileSomebodyHasIt(t *testing.T) {
	t.Parallel()
	scope := fmt.Sprint("kept ", t.Name())
	s := signer(t, scope, key1, nil)
	if signer(t, scope, key1, nil) != s {
		t.Error("the same arguments make another signer, that knows nobody")
	}
	for name, other := range map[string]*Signer{
		"scope": signer(t, scope+"x", key1, nil), "key": signer(t, scope, key2, nil), "previous key": signer(t, scope, key1, key2),
	} {
		if other == s {
			t.Errorf("another %s makes the same signer", name)
		}
	}
	runtime.KeepAlive(s)
	i, left := idOf(scope, key1, nil), true
	for end := time.Now().Add(time.Minute); left && time.Now().Before(end); {
		runtime.GC() // its cleanups run a little later
		runtime.Gosched()
		signers.Lock()
		_, left = signers.all[i]
		signers.Unlock()
	}
	if left {
		t.Error("nobody has it any more, and it is kept")
	}
}
