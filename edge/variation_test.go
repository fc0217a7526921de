package edge

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"semper"
	"semper/edge/variant"
	"semper/experiment/design"
)

// experiment is one of halves by a key.
func experiment(by string) design.Variation {
	return design.Variation{
		Experiment: "checkout", Run: "run1", By: by, Key: []byte(strings.Repeat("k", 32)),
		Variants: []design.Variant{{Name: "control", Share: .5}, {Name: "green", Share: .5}},
	}
}

// written is variations as tables hold them.
func written(t *testing.T, all ...design.Variation) json.RawMessage {
	t.Helper()
	b, err := json.Marshal(all)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// exposed is what the edge says on its socket.
func (f *fixture) exposed() map[uint64]int {
	f.t.Helper()
	w := httptest.NewRecorder()
	f.Control().ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/v1/exposures?after=0", nil))
	var all design.Exposures
	if err := json.Unmarshal(w.Body.Bytes(), &all); err != nil || w.Code != http.StatusOK || all.More || all.Dropped != 0 {
		f.t.Fatal(w.Code, err, all.More, all.Dropped)
	}
	out := make(map[uint64]int)
	for _, e := range all.List {
		if v, ok := out[e.User]; e.Run != "run1" || ok && v != e.Variant {
			f.t.Errorf("exposed: %+v, and before to %d", e, v)
		}
		out[e.User] = e.Variant
	}
	return out
}

// TestAnAppLearnsOfVariants: of its own request's, whatever the client says, and who got an answer is exposed.
func TestAnAppLearnsOfVariants(t *testing.T) {
	t.Parallel()
	eachWay(t, func(t *testing.T, f *fixture, policy map[string]any) {
		app := start(t, "tcp", "web.r1.1", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			fmt.Fprintf(w, "%s|%s|%s", strings.Join(r.Header["Semper-Variant"], ";"), strings.Join(r.Header["Semper-Variant-Key"], ";"), r.Header.Get("Semper_variant"))
		}))
		words, err := json.Marshal(policy)
		if err != nil {
			t.Fatal(err)
		}
		x := experiment("header:X-User")
		table := func(all ...design.Variation) {
			f.table(1, func(tab *semper.Table) {
				tab.Routes[0].Policy, tab.Pools[0].Variations = words, written(t, all...)
				tab.Pools[0].Limits.Age = semper.Duration(time.Second) // no request waits longer for an app that is gone
			}, app.Backend)
		}
		c := client(t)
		ask := func(user string) string {
			req, err := http.NewRequest(http.MethodGet, f.url("/"), nil)
			if err != nil {
				t.Fatal(err)
			}
			req.Header = http.Header{"X-User": {user}, "Semper-Variant": {"checkout=forged"}, "Semper-Variant-Key": {"checkout=forged"}, "Semper_variant": {"forged"}}
			if user == "" {
				req.Header.Del("X-User")
			}
			resp, err := c.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			return drainBody(t, resp)
		}
		table()
		if got := ask("ann"); got != "||" {
			t.Errorf("without an experiment: %q", got)
		}
		table(x)
		const users = 200
		for u := range users {
			user := fmt.Sprint("user-", u)
			number, at := x.Place(variant.Hash([]byte(user)))
			want := fmt.Sprintf("checkout=%s|checkout=%016x|", x.Variants[at].Name, number)
			for range 2 {
				if got := ask(user); got != want {
					t.Fatalf("%s: %q, not %q", user, got, want)
				}
			}
		}
		if got := ask(""); got != "||" {
			t.Errorf("without a key: %q", got)
		}
		all := f.exposed()
		for u := range users {
			number, at := x.Place(variant.Hash(fmt.Append(nil, "user-", u)))
			if got, ok := all[number]; !ok || got != at {
				t.Errorf("user %d is exposed to %d, %v; its variant is %d", u, got, ok, at)
			}
		}
		if len(all) != users {
			t.Errorf("%d of %d users are exposed", len(all), users)
		}
		app.kill()
		_ = ask("nobody-answers") // whatever the edge says itself is no exposure
		if n := len(f.exposed()); n != users {
			t.Errorf("%d are exposed after a request that no app answered", n)
		}
	})
}

// TestTheCookieKeepsAUser: the edge knows by its own cookie who comes again, and promoted is who gets a variant in silence.
func TestTheCookieKeepsAUser(t *testing.T) {
	t.Parallel()
	eachWay(t, func(t *testing.T, f *fixture, policy map[string]any) {
		app := start(t, "tcp", "web.r1.1", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			fmt.Fprint(w, r.Header.Get("Semper-Variant"), " ", r.Header.Get("Semper-Variant-Key"))
		}))
		words, err := json.Marshal(policy)
		if err != nil {
			t.Fatal(err)
		}
		x := experiment(variant.ByUser)
		f.table(1, func(tab *semper.Table) { tab.Routes[0].Policy, tab.Pools[0].Variations = words, written(t, x) }, app.Backend)
		seen := map[string]int{}
		for range 40 {
			jar, err := cookiejar.New(nil)
			if err != nil {
				t.Fatal(err)
			}
			c := client(t)
			c.Jar = jar
			_, first := askWith(t, c, http.MethodGet, f.url("/"), "", "")
			_, again := askWith(t, c, http.MethodGet, f.url("/"), "", "")
			if first != again {
				t.Errorf("%q, then %q", first, again)
			}
			word, _, _ := strings.Cut(first, " ")
			seen[word]++
		}
		if len(seen) != 2 || seen["checkout=green"] < 5 || seen["checkout=green"] > 35 { // 20 ± 3.2
			t.Errorf("%v", seen)
		}
		before := len(f.exposed())
		x.Quiet, x.Variants = true, []design.Variant{{Name: "green", Share: 1}}
		f.table(1, func(tab *semper.Table) { tab.Routes[0].Policy, tab.Pools[0].Variations = words, written(t, x) }, app.Backend)
		if _, body := askWith(t, client(t), http.MethodGet, f.url("/"), "", ""); !strings.HasPrefix(body, "checkout=green ") {
			t.Errorf("promoted: %q", body)
		}
		if now := len(f.exposed()); before != 40 || now != before {
			t.Errorf("%d were exposed, then %d", before, now)
		}
	})
}

// TestVariantsThatAreReleases are served by instances of their own, each user always by the same, and nobody fails for the sake of
// one: where it has no instance left its users are served by the others, and exposed to nothing.
func TestVariantsThatAreReleases(t *testing.T) {
	t.Parallel()
	eachWay(t, func(t *testing.T, f *fixture, policy map[string]any) {
		says := func(id string) *app {
			return start(t, "tcp", id, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				fmt.Fprint(w, r.Header.Get("Semper-Variant")+" of "+id[:len("web.r1")])
			}))
		}
		r1, r2 := says("web.r1.1"), says("web.r2.1")
		words, err := json.Marshal(policy)
		if err != nil {
			t.Fatal(err)
		}
		x := experiment("header:X-User")
		x.Variants[1].Release = "r2"
		f.table(1, func(tab *semper.Table) {
			tab.Routes[0].Policy, tab.Pools[0].Variations = words, written(t, x)
			tab.Pools = append(tab.Pools, semper.Pool{Key: webPool.PoolOf("r2"), Arm: "r2", App: "bar", Release: "r2", Backend: []semper.Backend{r2.Backend}, Variations: tab.Pools[0].Variations})
		}, r1.Backend)
		c := client(t)
		ask := func(user string) string {
			req, err := http.NewRequest(http.MethodGet, f.url("/"), nil)
			if err != nil {
				t.Fatal(err)
			}
			req.Header.Set("X-User", user)
			resp, err := c.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			if resp.StatusCode != http.StatusOK {
				t.Fatalf("%s: %s", user, resp.Status)
			}
			return drainBody(t, resp)
		}
		const users = 100
		green := 0
		for u := range 2 * users {
			user := fmt.Sprint("user-", u%users)
			_, at := x.Place(variant.Hash([]byte(user)))
			green += at
			if got, want := ask(user), [...]string{"checkout=control of web.r1", "checkout=green of web.r2"}[at]; got != want {
				t.Fatalf("%s: %q, not %q", user, got, want)
			}
		}
		if n := len(f.exposed()); n != users || green < users/2 {
			t.Errorf("%d of %d users are exposed, and %d of %d requests were green", n, users, green, 2*users)
		}
		r2.kill()
		for u := range 2 * users {
			if got := ask(fmt.Sprint("other-", u)); !strings.HasSuffix(got, " of web.r1") {
				t.Fatalf("with r2 gone: %q", got)
			}
		}
		control := 0
		for u := range 2 * users {
			if _, at := x.Place(variant.Hash(fmt.Append(nil, "other-", u))); at == 0 {
				control++
			}
		}
		if n := len(f.exposed()); n != users+control {
			t.Errorf("%d users are exposed, not %d: who has green got r1", n, users+control)
		}
	})
}
