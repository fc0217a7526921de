package edge

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"testing"

	"semper"
)

// TestARouteIsSpreadOverServices, by the shares of its table, and a client with the cookie stays where it came to; also over a table
// in which the other service has new instances.
func TestARouteIsSpreadOverServices(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	name := func(s string) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, s) })
	}
	web, next, later := start(t, "tcp", "web.r1.1", name("web")), start(t, "tcp", "next.r1.1", name("next")), start(t, "tcp", "next.r2.1", name("next"))
	spread := func(b semper.Backend) func(*semper.Table) {
		return func(tab *semper.Table) {
			tab.Routes[0].Policy = json.RawMessage(`{"split":{"web":"3","next":"1"},"split_by":"cookie:uid"}`)
			tab.Pools = append(tab.Pools, semper.Pool{Key: semper.NamePool("bar", "production", "next"), App: "bar", Release: "r1", Backend: []semper.Backend{b}})
		}
	}
	f.table(1, spread(next.Backend), web.Backend)
	c := client(t)
	ask := func(uid string) string {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, f.url("/"), nil)
		if err != nil {
			t.Fatal(err)
		}
		r.AddCookie(&http.Cookie{Name: "uid", Value: uid})
		resp, err := c.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close() //nolint:errcheck // read whole
		b, err := io.ReadAll(resp.Body)
		if err != nil || resp.StatusCode != http.StatusOK {
			t.Fatalf("%s %q %v", resp.Status, b, err)
		}
		return string(b)
	}
	const users = 400
	went, n := map[string]string{}, map[string]int{}
	for i := range users {
		uid := fmt.Sprint("user-", i)
		went[uid] = ask(uid)
		n[went[uid]]++
	}
	if n["next"] < users/4-45 || n["next"] > users/4+45 || n["web"]+n["next"] != users { // five standard deviations, of hashes that are the same each time
		t.Errorf("of %d users went %v, want 3 to 1", users, n)
	}
	f.table(2, spread(later.Backend), web.Backend)
	for uid, where := range went {
		if again := ask(uid); again != where {
			t.Errorf("%s was at %s, and is at %s", uid, where, again)
		}
	}
	f.table(3, func(tab *semper.Table) { // of a service that is gone its part goes to the others
		spread(later.Backend)(tab)
		tab.Pools = tab.Pools[:1]
	}, web.Backend)
	if got := ask("user-1"); got != "web" {
		t.Errorf("without the other service a client gets %q", got)
	}
}
