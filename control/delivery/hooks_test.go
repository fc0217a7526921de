package delivery

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"semper"
	"semper/api"
	"semper/pipeline"
	"semper/webhook"
)

// A clerk is a desk in a world of events and nothing else.
type clerk struct {
	t      *testing.T
	desk   *Desk
	now    time.Time
	events []semper.Event
	rev    int64
}

func (c *clerk) Now() time.Time                               { return c.now }
func (c *clerk) Env(semper.EnvironmentKey) semper.Environment { return semper.Environment{} }
func (c *clerk) Release(string, semper.ReleaseName) (semper.Release, error) {
	return semper.Release{}, nil
}
func (c *clerk) Deploy(semper.EnvironmentKey, semper.Release, string) (semper.Rollout, error) {
	return semper.Rollout{}, nil
}
func (c *clerk) Units(string) map[semper.InstanceID]pipeline.Unit { return nil }
func (c *clerk) LastEvent() int64                                 { return int64(len(c.events)) }
func (c *clerk) Tell(events ...semper.Event) {
	for _, e := range events {
		e.Seq = int64(len(c.events)) + 1
		c.events = append(c.events, e)
	}
}

// store has f change the desk, and stores what comes of it.
func (c *clerk) store(f func(*Change)) {
	c.t.Helper()
	ch := c.desk.Change()
	f(ch)
	c.rev++
	if err := c.desk.Apply(ch, c.rev); err != nil {
		c.t.Fatal(err)
	}
}

func newClerk(t *testing.T, url string) *clerk {
	t.Helper()
	c := &clerk{t: t, desk: New(nil), now: time.Now()}
	c.store(func(ch *Change) {
		err := c.desk.Declare(c, ch, api.DeployRequest{
			Spec:     semper.Spec{App: "shop"},
			Pipeline: &semper.Pipeline{Webhooks: []semper.Webhook{{URL: url, Secret: "key", Events: []string{"gate.*"}}}},
		}, api.Caller{})
		if err != nil {
			t.Fatal(err)
		}
	})
	c.promote()
	return c
}

func (c *clerk) promote() { c.store(func(ch *Change) { c.desk.Promote(c, ch) }) }

func secret(string, string) ([]byte, error) { return []byte("0123456789abcdef"), nil }

// tell tells what is due, and takes in what came of it.
func (c *clerk) tell() int {
	c.t.Helper()
	all, _ := c.desk.Tellings(c.now, c.events, func(string) bool { return false })
	for _, t := range all {
		h := t.Send(c.t.Context(), secret)
		c.store(func(ch *Change) { c.desk.Told(c, ch, h) })
	}
	return len(all)
}

func (c *clerk) happen(kinds ...string) {
	for _, k := range kinds {
		c.Tell(semper.Event{At: c.now, Kind: k, App: "shop", Message: k})
	}
}

// receiver keeps what it gets and answers with status.
type receiver struct {
	mu     sync.Mutex
	status int // guarded by mu
	ids    []string
	seqs   []int64
}

func (r *receiver) ServeHTTP(w http.ResponseWriter, q *http.Request) {
	r.mu.Lock()
	defer r.mu.Unlock()
	b, err := io.ReadAll(q.Body)
	var m struct{ Data semper.Event }
	if err != nil || json.Unmarshal(b, &m) != nil || !webhook.Verify([]byte("0123456789abcdef"), q.Header.Get(webhook.HeaderID), q.Header.Get(webhook.HeaderTimestamp), q.Header.Get(webhook.HeaderSignature), b, time.Now()) {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	r.ids = append(r.ids, q.Header.Get(webhook.HeaderID))
	if r.status == 0 || r.status == http.StatusOK {
		r.seqs = append(r.seqs, m.Data.Seq)
		return
	}
	w.WriteHeader(r.status)
}

func (r *receiver) answer(status int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.status = status
}

func TestWebhookIsToldInOrderAndAgain(t *testing.T) {
	t.Parallel()
	r := &receiver{}
	s := httptest.NewServer(r)
	defer s.Close()
	c := newClerk(t, s.URL)
	c.happen("gate.passed", "rollout.begun", "gate.failed", "webhook.failed", "user.changed")
	if n := c.tell(); n != 1 {
		t.Fatalf("%d tellings", n)
	}
	first := slices.Clone(r.seqs)
	if len(first) != 2 || first[1] != first[0]+2 {
		t.Fatalf("told %v", first)
	}
	if c.tell() != 0 {
		t.Error("told again what it has")
	}
	r.answer(http.StatusBadGateway)
	c.happen("gate.passed")
	c.tell()
	if c.tell() != 0 {
		t.Error("no pause after a failure")
	}
	if h := c.desk.hooks[hookID("shop", semper.Webhook{URL: s.URL})].value; h.Fails != 1 || h.Error == "" || !h.Next.After(c.now) {
		t.Errorf("after a failure: %+v", h)
	}
	// Another control process reads what is stored, and goes on.
	next := New(nil)
	for id, h := range c.desk.hooks {
		b, err := json.Marshal(h.value)
		if err != nil {
			t.Fatal(err)
		}
		if err := next.Put(semper.Item{Key: preHook + id, Value: b, Version: h.version}); err != nil {
			t.Fatal(err)
		}
	}
	p, _ := c.desk.records.Policy("shop")
	b, err := json.Marshal(p)
	if err != nil {
		t.Fatal(err)
	}
	if err := next.Put(semper.Item{Key: "pipeline/shop", Value: b, Version: 1}); err != nil {
		t.Fatal(err)
	}
	c.desk = next
	r.answer(http.StatusOK)
	c.now = c.now.Add(time.Minute)
	c.tell()
	if len(r.seqs) != 3 || len(r.ids) != 4 || r.ids[2] != r.ids[3] {
		t.Errorf("told %v by %v: what is sent again has the same id", r.seqs, r.ids)
	}
}

func TestWebhookThatCannotBeTold(t *testing.T) {
	t.Parallel()
	r := &receiver{status: http.StatusInternalServerError}
	s := httptest.NewServer(r)
	defer s.Close()
	c := newClerk(t, s.URL)
	old := c.now
	c.now = old.Add(-webhook.KeepTrying - time.Hour)
	c.happen("gate.passed") // long ago
	c.now = old
	c.tell()
	h := c.desk.hooks[hookID("shop", semper.Webhook{URL: s.URL})].value
	if h.Missed != 1 || h.Seq < 1 {
		t.Errorf("an old event is not given up: %+v", h)
	}
	c.happen("gate.passed", "gate.passed", "gate.passed")
	lost := c.events[len(c.events)-1:] // the log has lost what was before
	due, _, missed := due("shop", semper.Webhook{}, h, lost)
	if missed != lost[0].Seq-h.Seq-1 || len(due) != 1 {
		t.Errorf("due %v, missed %d after %d", due, missed, h.Seq)
	}
	r.answer(http.StatusGone)
	c.tell()
	if h = c.desk.hooks[hookID("shop", semper.Webhook{URL: s.URL})].value; !h.Gone {
		t.Errorf("after 410: %+v", h)
	}
	c.happen("gate.passed")
	if c.now = c.now.Add(48 * time.Hour); c.tell() != 0 {
		t.Error("who is gone is told")
	}
}

// One webhook that hangs is told by a child of its own: the others go on.
func TestWebhookThatHangs(t *testing.T) {
	t.Parallel()
	c := newClerk(t, "http://127.0.0.1:1/")
	c.store(func(ch *Change) {
		p, _ := c.desk.records.Policy("shop")
		p.Webhooks = append(p.Webhooks, semper.Webhook{URL: "http://127.0.0.1:2/", Secret: "key"})
		ch.SetPolicy(p)
	})
	c.promote()
	c.happen("gate.passed")
	hanging := hookID("shop", semper.Webhook{URL: "http://127.0.0.1:1/"})
	all, _ := c.desk.Tellings(c.now, c.events, func(id string) bool { return id == hanging })
	if len(all) != 1 || all[0].ID == hanging {
		t.Errorf("tellings %v", all)
	}
}

func TestUsers(t *testing.T) {
	t.Parallel()
	c := newClerk(t, "http://127.0.0.1:1/")
	admin, olga := api.Caller{Name: "root", Role: api.Admin}, api.User{Caller: api.Caller{Name: "olga", Role: api.Deployer, Groups: []string{"ops"}}}
	token := ""
	c.store(func(ch *Change) {
		var err error
		if token, err = c.desk.AddUser(c, ch, olga, admin); err != nil {
			t.Fatal(err)
		}
		if b := fmt.Sprint(ch.Then); len(token) < 40 || strings.Contains(b, token) {
			t.Errorf("token %q is stored: %s", token, b)
		}
	})
	v := c.desk.View()
	if u, ok := v.User(api.TokenDigest(token)); !ok || u.Name != "olga" || !slices.Equal(u.Groups, []string{"ops"}) {
		t.Errorf("user %+v", u)
	}
	if _, ok := v.User(token); ok {
		t.Error("the token itself is a digest")
	}
	for _, bad := range []api.User{{}, {Caller: api.Caller{Name: "Olga", Role: api.Viewer}}, {Caller: api.Caller{Name: "admin", Role: api.Viewer}}, {Caller: api.Caller{Name: "x", Role: "king"}}, {Caller: api.Caller{Name: "x", Role: api.Viewer, Groups: []string{"deployer"}}}} {
		if _, err := c.desk.AddUser(c, c.desk.Change(), bad, admin); semper.CodeOf(err) != semper.Invalid {
			t.Errorf("%+v: %v", bad, err)
		}
	}
	if _, err := c.desk.AddUser(c, c.desk.Change(), olga, olga.Caller); semper.CodeOf(err) != semper.Forbidden {
		t.Errorf("a deployer adds a user: %v", err)
	}
	c.store(func(ch *Change) {
		if err := c.desk.RemoveUser(c, ch, "olga", admin); err != nil {
			t.Fatal(err)
		}
	})
	if _, ok := c.desk.View().User(api.TokenDigest(token)); ok {
		t.Error("olga is removed and may still call")
	}
}
