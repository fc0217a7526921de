package web

import (
	"strings"
	"testing"
	"time"

	"semper"
	"semper/api"
)

// program is a tree with one instance of shop and one of blog, each with an actor.
func program() api.TreeNode {
	actor := api.TreeNode{Name: "cart", Kind: api.NodeActor, State: "backoff", Process: "<17>", Mailbox: 3, Restarts: 2, Reason: "crash: <b>boom</b>"}
	sup := api.TreeNode{
		Name: "app", Kind: api.NodeSupervisor, Strategy: "one_for_all", Intensity: "3 in 5s", Window: 2, State: "running",
		Children: []api.TreeNode{actor, {Name: "shop/web.r1.1", Kind: api.NodeActor, State: "running"}}, More: 4120,
		StaleFrom: time.Unix(1000, 0),
	}
	process := func(name string) api.TreeNode {
		return api.TreeNode{Name: name, Kind: api.NodeProcess, State: "ready", PID: 7, Children: []api.TreeNode{sup}}
	}
	return api.TreeNode{Name: "node test", Kind: api.NodeMachine, State: "running", Children: []api.TreeNode{
		{Name: "system", Kind: api.NodeSupervisor, Children: []api.TreeNode{process("edge-1")}},
		{Name: "shop", Kind: api.NodeSupervisor, Children: []api.TreeNode{process("shop/web.r1.1")}},
		{Name: "blog", Kind: api.NodeSupervisor, Children: []api.TreeNode{process("blog/web.r1.1")}},
	}}
}

func TestOfInstancesKeepsTheirActors(t *testing.T) {
	t.Parallel()
	n := ofInstances(program(), []api.Instance{{ID: "shop/web.r1.1"}})
	if len(n.Children) != 1 || n.Children[0].Name != "shop" || len(n.Children[0].Children) != 1 {
		t.Fatalf("%+v", n)
	}
	if in := insideOf(n.Children[0].Children[0]); in.Count != 3+4120 || in.Troubled != 2 {
		t.Errorf("%+v", in)
	}
}

func TestThePageDrawsWhatRunsInAProcess(t *testing.T) {
	t.Parallel()
	f, err := parsePages("test").fragments([]string{"semper"}, &look{Tree: program()})
	if err != nil {
		t.Fatal(err)
	}
	html := string(f["semper"].HTML)
	for _, want := range []string{
		"<details data-k=\"inside\"><summary>4,123 inside", "2 in trouble", "one_for_all", "2 restarts of 3 in 5s", "&lt;17&gt;", "3 waiting",
		"last: crash: &lt;b&gt;boom", "4,120 more", "does not answer",
	} {
		if !strings.Contains(html, want) {
			t.Errorf("no %q in:\n%s", want, html)
		}
	}
}

func TestThePageOfAnActorsCrash(t *testing.T) {
	t.Parallel()
	var b strings.Builder
	err := parsePages("test").t.ExecuteTemplate(&b, "crash", semper.CrashReport{
		ID: "c-3", What: "bar/web.r1.1", App: "bar", Reason: semper.Reason{Kind: semper.ReasonCrash, Detail: "panic: boom"}, PID: 7,
		Actor: &semper.ActorCrash{
			Process: "<17>", Path: "shop/cart", LastMessage: "{add 3}", State: "<script>", Messages: 1812, Mailbox: 2, Waiting: []string{"{add 4}"},
			Stack: "main.(*cart).Handle", Dropped: 5, Ancestors: []string{"<3>"},
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"bar/web.r1.1 › shop/cart", "crash: panic: boom", "the process goes on", "{add 3}", "&lt;script&gt;", "{add 4}", "1,812", "main.(*cart).Handle", "5 crashes before"} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("no %q in:\n%s", want, b.String())
		}
	}
	var service strings.Builder
	if err := parsePages("test").t.ExecuteTemplate(&service, "crash", semper.CrashReport{ID: "c-4", What: "bar/web.r1.1", Actor: &semper.ActorCrash{Path: "shop/http"}}); err != nil {
		t.Fatal(err)
	}
	if html := service.String(); !strings.Contains(html, "shop/http") || strings.Contains(html, "Last message") || strings.Contains(html, "Handled") {
		t.Errorf("a goroutine handles no messages:\n%s", html)
	}
	if strings.Contains(b.String(), "Used at most") || strings.Contains(b.String(), "It printed nothing") {
		t.Errorf("it speaks of the process:\n%s", b.String())
	}
}
