package sticky

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"
)

var (
	key1, key2 = bytes.Repeat([]byte("1"), 32), bytes.Repeat([]byte("2"), 40)
	now        = time.Unix(1_795_000_000, 0)
)

func signer(t testing.TB, scope string, current, previous []byte) *Signer {
	t.Helper()
	s, err := New(scope, current, previous)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestAValueBringsBack(t *testing.T) {
	t.Parallel()
	s := signer(t, "shop", key1, nil)
	r42, r43, one, two := s.Tag("r42"), s.Tag("r43"), s.Tag("shop/web.r42.1"), s.Tag("shop/web.r42.2")
	value := s.Append([]byte("x="), r42, one, now.Add(time.Hour))
	c, err := s.Open(value[2:], now)
	if err != nil || !c.Expires.Equal(now.Add(time.Hour)) {
		t.Fatalf("%+v %v", c, err)
	}
	if !c.IsRelease(r42) || c.IsRelease(r43) || !c.IsInstance(one) || c.IsInstance(two) || c.IsInstance(r42) {
		t.Errorf("%+v", c)
	}
	if len(value) != 2+64 || bytes.Contains(value, []byte("web")) {
		t.Errorf("value %s", value)
	}
}

// The layout of the package's doc, computed by hand.
func TestTheLayout(t *testing.T) {
	t.Parallel()
	s := signer(t, "shop", key1, nil)
	mac := func(kind string, b []byte) []byte {
		h := hmac.New(sha256.New, key1)
		h.Write([]byte(kind + "\x00\x00\x00\x04shop"))
		h.Write(b)
		return h.Sum(nil)
	}
	body := binary.BigEndian.AppendUint64(nil, 1<<56|uint64(now.Unix()))
	body = append(append(body, mac("t", []byte("r1"))[:8]...), mac("t", []byte("i1"))[:8]...)
	want := base64.RawURLEncoding.EncodeToString(append(body, mac("v", body)[:24]...))
	if got := s.Append(nil, s.Tag("r1"), s.Tag("i1"), now); string(got) != want {
		t.Errorf("%s, want %s", got, want)
	}
}

func TestKeysRotate(t *testing.T) {
	t.Parallel()
	before := signer(t, "a", key1, nil)
	value := before.Append(nil, before.Tag("r1"), before.Tag("i1"), now.Add(time.Hour))
	during := signer(t, "a", key2, key1)
	c, err := during.Open(value, now)
	if err != nil || !c.IsInstance(during.Tag("i1")) || !c.IsRelease(during.Tag("r1")) || c.IsInstance(during.Tag("i2")) {
		t.Fatalf("after a rotation: %+v %v", c, err)
	}
	if !c.Stale(now, time.Hour) {
		t.Error("a value of the previous key is not renewed")
	}
	renewed := during.Append(nil, during.Tag("r1"), during.Tag("i1"), now.Add(time.Hour))
	after := signer(t, "a", key2, nil)
	if c, err := after.Open(renewed, now); err != nil || !c.IsInstance(after.Tag("i1")) || c.Stale(now, time.Hour) || !c.Stale(now.Add(31*time.Minute), time.Hour) {
		t.Errorf("the renewed one: %+v %v", c, err)
	}
	if _, err := after.Open(value, now); !errors.Is(err, ErrForged) {
		t.Errorf("the first key is gone, and its value says %v", err)
	}
	if _, err := signer(t, "b", key1, nil).Open(value, now); !errors.Is(err, ErrForged) {
		t.Errorf("at another scope: %v", err)
	}
}

func TestNobodyWritesOne(t *testing.T) {
	t.Parallel()
	s := signer(t, "a", key1, key2)
	value := s.Append(nil, s.Tag("r1"), s.Tag("i1"), now.Add(time.Hour))
	raw, err := base64.RawURLEncoding.DecodeString(string(value))
	if err != nil {
		t.Fatal(err)
	}
	for i := range len(raw) * 8 {
		forged := bytes.Clone(raw)
		forged[i/8] ^= 1 << (i % 8)
		if _, err := s.Open([]byte(base64.RawURLEncoding.EncodeToString(forged)), now); !errors.Is(err, ErrForged) && !errors.Is(err, ErrMalformed) {
			t.Fatalf("bit %d changed: %v", i, err)
		}
	}
	for _, v := range []string{"", "x", string(value[:63]), string(value) + "A", string(value[:63]) + "=", string(value[:62]) + "\n" + string(value[63:]), strings.Repeat("A", 64)} {
		if _, err := s.Open([]byte(v), now); !errors.Is(err, ErrMalformed) {
			t.Errorf("%q: %v", v, err)
		}
	}
	if _, err := s.Open(value, now.Add(time.Hour)); !errors.Is(err, ErrExpired) {
		t.Errorf("at its expiry: %v", err)
	}
}

func TestShortKeysAreRefusedWithoutBeingTold(t *testing.T) {
	t.Parallel()
	const secret = "hunter2hunter2"
	for _, keys := range [][2][]byte{{[]byte(secret), nil}, {key1, []byte(secret)}, {nil, nil}, {key1, {}}} {
		_, err := New("a", keys[0], keys[1])
		if err == nil || strings.Contains(err.Error(), secret) {
			t.Errorf("%q: %v", keys, err)
		}
	}
}

func TestSetCookie(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		cookie Cookie
		want   string
	}{
		{Cookie{Name: "a", Age: time.Hour, SameSite: "lax"}, "a=v; Path=/; Max-Age=3600; HttpOnly; SameSite=Lax"},
		{Cookie{Name: "a", Age: time.Minute, SameSite: "strict", Secure: true}, "a=v; Path=/; Max-Age=60; HttpOnly; SameSite=Strict; Secure"},
		{Cookie{Name: "a", Age: time.Minute, SameSite: "none"}, "a=v; Path=/; Max-Age=60; HttpOnly; SameSite=None; Secure"},
	} {
		got := string(c.cookie.AppendSetCookie(nil, []byte("v")))
		if got != c.want {
			t.Errorf("%s, want %s", got, c.want)
		}
		if parsed, err := http.ParseSetCookie(got); err != nil || parsed.Value != "v" || !parsed.HttpOnly {
			t.Errorf("%s reads as %v: %v", got, parsed, err)
		}
	}
}

func TestAllocatesNothing(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates, and empties pools")
	}
	s := signer(t, "a", key1, key2)
	r, i := s.Tag("r1"), s.Tag("i1")
	dst := make([]byte, 0, 64)
	if got := testing.AllocsPerRun(200, func() {
		c, err := s.Open(s.Append(dst, r, i, now.Add(time.Hour)), now)
		if err != nil || !c.IsInstance(i) {
			t.Fatal(err)
		}
	}); got >= 1 { // a collection may empty a pool in between
		t.Errorf("%v allocations", got)
	}
}

func FuzzOpen(f *testing.F) {
	s := signer(f, "a", key1, key2)
	good := s.Append(nil, s.Tag("r"), s.Tag("i"), now.Add(time.Hour))
	f.Add([]byte("x"))
	f.Add(bytes.Repeat([]byte("A"), 64))
	f.Add(good[:60])
	f.Fuzz(func(t *testing.T, value []byte) {
		if _, err := s.Open(value, now); err == nil && !bytes.Equal(value, good) {
			t.Errorf("%q is believed", value)
		}
	})
}

func BenchmarkOpen(b *testing.B) {
	s := signer(b, "a", key1, nil)
	value := s.Append(nil, s.Tag("r1"), s.Tag("i1"), now.Add(time.Hour))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := s.Open(value, now); err != nil {
			b.Fatal(err)
		}
	}
}
