package webhook

import (
	"context"
	"errors"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// The vector of the libraries of Standard Webhooks.
func TestPublishedVector(t *testing.T) {
	t.Parallel()
	key, err := Key([]byte("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\n"))
	if err != nil {
		t.Fatal(err)
	}
	at, body := time.Unix(1614265330, 0), []byte(`{"test": 2432232314}`)
	const id, want = "msg_p5jXN8AQM9LWM0D4loKWxJek", "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
	if got := Sign(key, id, at, body); got != want {
		t.Errorf("signature %s, want %s", got, want)
	}
	for _, c := range []struct {
		name, id, at, signatures, body string
		now                            time.Time
		good                           bool
	}{
		{"as sent", id, "1614265330", want, string(body), at, true},
		{"among others", id, "1614265330", "v1,Ceo5qEr07ixe2NLpvHk3FH9bwy/WavXrAFQ/9tdO6mc= v2,x " + want, string(body), at, true},
		{"another id", id + "x", "1614265330", want, string(body), at, false},
		{"another body", id, "1614265330", want, string(body) + " ", at, false},
		{"another time", id, "1614265331", want, string(body), at, false},
		{"old", id, "1614265330", want, string(body), at.Add(Tolerance + time.Second), false},
		{"early", id, "1614265330", want, string(body), at.Add(-Tolerance - time.Second), false},
		{"no time", id, "", want, string(body), at, false},
		{"time with a sign", id, "+1614265330", want, string(body), at, false},
		{"no version", id, "1614265330", strings.TrimPrefix(want, "v1,"), string(body), at, false},
	} {
		if got := Verify(key, c.id, c.at, c.signatures, []byte(c.body), c.now); got != c.good {
			t.Errorf("%s: %t", c.name, got)
		}
	}
}

func TestKeyRefuses(t *testing.T) {
	t.Parallel()
	for _, s := range []string{"", "short", "whsec_", "whsec_!!!!", "whsec_c2hvcnQ="} {
		if _, err := Key([]byte(s)); err == nil || s != "" && strings.Contains(err.Error(), strings.TrimPrefix(s, "whsec_")) && len(s) > 6 {
			t.Errorf("%q: %v", s, err)
		}
	}
}

func TestAddresses(t *testing.T) {
	t.Parallel()
	for address, free := range map[string]bool{
		"127.0.0.1:80": true, "10.0.0.1:80": true, "[::1]:80": true, "203.0.113.1:443": true, "[2001:db8::1]:443": true,
		"169.254.169.254:80": false, "[::ffff:169.254.169.254]:80": false, "[fe80::1%eth0]:80": false, "[fd00:ec2::254]:80": false,
		"100.100.100.200:80": false, "0.0.0.0:80": false, "[::]:80": false, "224.0.0.1:80": false, "255.255.255.255:80": false, "x:80": false,
	} {
		if err := look(address, allowed(false)); (err == nil) != free {
			t.Errorf("%s: %v", address, err)
		}
	}
	if look("169.254.169.254:80", allowed(true)) != nil || look("0.0.0.0:80", allowed(true)) == nil {
		t.Error("internal opens link-local addresses and nothing else")
	}
}

// A name or a redirect that leads to a forbidden address leads nowhere.
func TestSend(t *testing.T) {
	t.Parallel()
	var calls int
	key := []byte("0123456789abcdef")
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		calls++
		body := make([]byte, 100)
		n, _ := r.Body.Read(body)
		if !Verify(key, r.Header.Get(HeaderID), r.Header.Get(HeaderTimestamp), r.Header.Get(HeaderSignature), body[:n], time.Now()) {
			t.Errorf("a message that is not ours: %v", r.Header)
		}
		switch r.URL.Path {
		case "/gone":
			w.WriteHeader(http.StatusGone)
		case "/redirect":
			http.Redirect(w, r, "http://169.254.169.254/latest/meta-data", http.StatusFound)
		case "/broken":
			w.WriteHeader(http.StatusInternalServerError)
		}
	}))
	defer s.Close()
	for path, want := range map[string]struct{ gone, failed bool }{"/": {}, "/gone": {true, true}, "/redirect": {false, true}, "/broken": {false, true}} {
		gone, err := Send(t.Context(), Client(false), s.URL+path, key, Message{ID: "e-1", Body: []byte(`{}`)}, time.Now())
		if gone != want.gone || (err != nil) != want.failed {
			t.Errorf("%s: gone %t, %v", path, gone, err)
		}
	}
	if calls != 4 {
		t.Errorf("%d calls", calls)
	}
	var forbidden *Forbidden
	if _, err := Send(t.Context(), Client(false), "http://169.254.169.254/", key, Message{}, time.Now()); !errors.As(err, &forbidden) {
		t.Errorf("the metadata service: %v", err)
	}
}

// Who hangs is given up.
func TestSendEnds(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	s := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-release }))
	defer s.Close()
	defer close(release)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := Send(ctx, Client(false), s.URL, []byte("0123456789abcdef"), Message{}, time.Now()); !errors.Is(err, context.DeadlineExceeded) {
		t.Error(err)
	}
}

func TestNext(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(1, 2)) //nolint:gosec // a seeded test
	for n := range 100 {
		for range 20 {
			d, most := Next(n, r), min(backoffMax, backoffMin<<min(20, max(0, n-1)))
			if d < most/2 || d > most {
				t.Fatalf("after failure %d: %s, want %s to %s", n, d, most/2, most)
			}
		}
	}
}
