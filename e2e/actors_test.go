package e2e_test

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"semper/api"
)

// actorsApp is a copy of the example that builds from this checkout.
func actorsApp(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "ac")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	root, err := filepath.Abs("..")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.CopyFS(dir, os.DirFS(filepath.Join(root, "examples", "actors"))); err != nil {
		t.Fatal(err)
	}
	mod, err := os.ReadFile(filepath.Join(dir, "go.mod"))
	if err != nil || !strings.Contains(string(mod), "=> ../..") {
		t.Fatalf("go.mod: %v\n%s", err, mod)
	}
	write(t, filepath.Join(dir, "go.mod"), strings.Replace(string(mod), "=> ../..", "=> "+root, 1), 0o644)
	return dir
}

// post sends nothing and returns the status and the body.
func (s *server) post(path string) (int, string) {
	s.t.Helper()
	resp, err := s.web.Post("http://"+s.http+path, "text/plain", nil)
	if err != nil {
		return 0, err.Error()
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		return 0, err.Error()
	}
	return resp.StatusCode, strings.TrimSpace(string(b))
}

// nodeWhere is the first node of the tree that cond holds for.
func nodeWhere(n api.TreeNode, cond func(api.TreeNode) bool) *api.TreeNode {
	if cond(n) {
		return &n
	}
	for _, c := range n.Children {
		if f := nodeWhere(c, cond); f != nil {
			return f
		}
	}
	return nil
}

func (s *server) tree() api.TreeNode {
	s.t.Helper()
	return asked(s, func(ctx context.Context, c *api.Client) (api.TreeNode, error) { return c.Tree(ctx) })
}

// cart is a customer's in the tree of the only instance, and the instance.
func (s *server) cart(customer string) (instance, cart *api.TreeNode) {
	s.t.Helper()
	instance = nodeWhere(s.tree(), func(n api.TreeNode) bool { return n.Name == "actors/web.r1.1" && n.Kind == api.NodeProcess })
	if instance == nil {
		s.t.Fatal("the instance is not in the tree")
	}
	return instance, nodeWhere(*instance, func(n api.TreeNode) bool { return n.Kind == api.NodeActor && n.Label == "cart of "+customer })
}

// visitors read a cart again and again until the returned function is called; it tells what went wrong.
func (s *server) visitors(t *testing.T, path, want string) (stop func() (int64, []string)) {
	var (
		done  atomic.Bool
		count atomic.Int64
		mu    sync.Mutex
		bad   []string
		wg    sync.WaitGroup
	)
	for range 4 {
		wg.Go(func() {
			for !done.Load() {
				if code, body := s.get(path); code != http.StatusOK || body != want {
					mu.Lock()
					bad = append(bad, body)
					mu.Unlock()
				}
				count.Add(1)
			}
		})
	}
	return func() (int64, []string) {
		done.Store(true)
		wg.Wait()
		return count.Load(), bad
	}
}

// TestACrashInsideAProgramStaysThere: the tree goes on in the app; one of its actors crashes under load, which costs that
// actor's state and the one request, and is reported with all that is known.
func TestACrashInsideAProgramStaysThere(t *testing.T) {
	t.Parallel()
	s := start(t)
	s.must("deploy", "-f", actorsApp(t))
	for _, customer := range []string{"ann", "bob"} {
		if code, body := s.post("/actors/" + customer + "?article=tea"); code != http.StatusOK || body != "1" {
			t.Fatalf("%d %s", code, body)
		}
	}
	eventually(t, "both carts are in the tree", func() bool {
		_, ann := s.cart("ann")
		_, bob := s.cart("bob")
		return ann != nil && bob != nil && ann.State == "running" && ann.Process != "" && ann.Restarts == 0
	})
	before, _ := s.cart("ann")
	if n := printed[api.TreeNode](s, "tree"); n.Kind != api.NodeMachine || len(n.Children) != 1 || n.Children[0].Name != "semper keeper" {
		t.Errorf("the root is %q with %d children", n.Name, len(n.Children))
	}
	if d := nodeWhere(*before, func(n api.TreeNode) bool { return n.Name == "carts" }); d == nil || d.Strategy != "simple_one_for_one" || d.Intensity != "20 in 10s" {
		t.Errorf("the supervisor of the carts: %+v", d)
	}

	stop := s.visitors(t, "/actors/bob", `{"tea":1}`)
	if code, body := s.post("/actors/ann/crash"); code != http.StatusInternalServerError || !strings.Contains(body, "fell off the shelf") {
		t.Errorf("the crash answers %d %s", code, body)
	}
	var after *api.TreeNode
	eventually(t, "the cart is restarted", func() bool {
		in, ann := s.cart("ann")
		after = in
		return ann != nil && ann.Restarts == 1 && ann.State == "running" && strings.Contains(ann.Reason, "fell off the shelf")
	})
	none(t, "the crash of another's cart", stop)
	if after.PID != before.PID || after.Restarts != 0 {
		t.Errorf("the instance was pid %d, and is %d with %d restarts", before.PID, after.PID, after.Restarts)
	}
	if d := nodeWhere(*after, func(n api.TreeNode) bool { return n.Name == "carts" }); d.Window != 1 {
		t.Errorf("%d restarts in the window", d.Window)
	}
	if code, body := s.get("/actors/ann"); code != http.StatusOK || body != "{}" {
		t.Errorf("the new cart answers %d %s", code, body)
	}
	s.reportsTheCart(before.PID)
}

// reportsTheCart checks the crash report of Ann's cart, in JSON and in words.
func (s *server) reportsTheCart(pid int) {
	s.t.Helper()
	eventually(s.t, "the report", func() bool { return strings.Contains(s.must("crash", "list"), "shop/carts") })
	text := s.must("crash", "show", "last")
	for _, want := range []string{"of actors/web.r1.1", "fell off the shelf", "its last message", "Metres:2", "its state", "Articles:map[tea:1]", "cart).Handle", "left to its supervisor"} {
		if !strings.Contains(text, want) {
			s.t.Errorf("the report does not say %q:\n%s", want, text)
		}
	}
	var r struct {
		What   string
		PID    int
		Reason struct{ Kind string }
		Actor  *struct {
			Process, Label, Stack string
			LastMessage           string `json:"last_message"`
			Messages              int
		}
	}
	if err := json.Unmarshal([]byte(s.must("crash", "show", "last", "-o", "json")), &r); err != nil {
		s.t.Fatal(err)
	}
	if r.What != "actors/web.r1.1" || r.PID != pid || r.Reason.Kind != "crash" || r.Actor == nil {
		s.t.Fatalf("%+v", r)
	}
	if a := r.Actor; a.Label != "cart of ann" || a.Process == "" || a.LastMessage == "" || a.Stack == "" || a.Messages < 1 {
		s.t.Errorf("%+v", *a)
	}
	if st := s.status(); st.Rollout.State == "failed" || st.Instances[0].Restarts != 0 {
		s.t.Errorf("it was counted against the instance: %+v", st.Instances[0])
	}
}
