package draw_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"semper"
	"semper/api"
	"semper/cli/draw"
)

// program is an instance whose program has n actors, one of them, somewhere, in trouble.
func program(n, troubled int) api.TreeNode {
	sup := api.TreeNode{Name: "app", Kind: api.NodeSupervisor, Strategy: "one_for_one", Intensity: "3 in 5s", State: "running"}
	for i := range n {
		a := api.TreeNode{Name: fmt.Sprintf("a%d", i), Kind: api.NodeActor, State: "running", Process: fmt.Sprintf("<%d>", i)}
		if i == troubled {
			a.State, a.Reason = "backoff", "crash: \x1b[31mred"
		}
		sup.Children = append(sup.Children, a)
	}
	return api.TreeNode{Name: "bar/web.r1.1", Kind: api.NodeProcess, State: "ready", PID: 7, Children: []api.TreeNode{sup}}
}

func TestLongListsOfAProgramAreCutShort(t *testing.T) {
	t.Parallel()
	lines := draw.Tree(program(1000, 900), false, time.Time{}, 0)
	all := strings.Join(lines, "\n")
	if len(lines) > 40 || !strings.HasSuffix(lines[len(lines)-1], "… 975 more") {
		t.Errorf("%d lines, the last %q", len(lines), lines[len(lines)-1])
	}
	if !strings.Contains(lines[2], "a900 <900>  backoff") || strings.Contains(all, "\x1b") {
		t.Errorf("who is in trouble does not come first, or steers the terminal:\n%s", all)
	}
	if n := len(draw.Tree(program(20, 3), false, time.Time{}, 0)); n != 22 {
		t.Errorf("a short list takes %d lines", n)
	}
}

func TestInstancesAreNeverCutShort(t *testing.T) {
	t.Parallel()
	n := api.TreeNode{Name: "instances", Kind: api.NodeSupervisor}
	for i := range 200 {
		n.Children = append(n.Children, api.TreeNode{Name: fmt.Sprint(i), Kind: api.NodeProcess})
	}
	if got := len(draw.Tree(n, false, time.Time{}, 0)); got != 201 {
		t.Errorf("%d lines", got)
	}
}

func TestTreeDepth(t *testing.T) {
	t.Parallel()
	for depth, want := range map[int]string{1: "  … 11 below", 2: "  … 10 below"} {
		lines := draw.Tree(program(10, -1), false, time.Time{}, depth)
		if len(lines) != depth || !strings.HasSuffix(lines[depth-1], want) {
			t.Errorf("depth %d: %q", depth, lines)
		}
	}
}

func TestAStaleProgramIsSaidToBe(t *testing.T) {
	t.Parallel()
	now := time.Unix(1000, 0)
	n := program(1, -1)
	n.Children[0].StaleFrom = now.Add(-30 * time.Second)
	if all := strings.Join(draw.Tree(n, false, now, 0), "\n"); !strings.Contains(all, "does not answer; as it was 30s ago") {
		t.Error(all)
	}
}

func TestCrashOfAnActor(t *testing.T) {
	t.Parallel()
	var b strings.Builder
	draw.Crash(&b, false, semper.CrashReport{
		ID: "c-3", What: "bar/web.r1.1", Release: "r1", Reason: semper.Reason{Kind: semper.ReasonCrash, Detail: "panic: boom"}, PID: 7,
		Decision: "left to its supervisor in the program", Actor: &semper.ActorCrash{
			Process: "<17>", Label: "cart", Path: "shop/cart", LastMessage: "{add 3}", State: "&{items:[]}", Mailbox: 2, Messages: 812,
			Waiting: []string{"{add 4}", "{add \x1b5}"}, Stack: "goroutine 9\nmain.(*cart).Handle", Dropped: 5,
		},
	})
	for _, want := range []string{
		"c-3  actor shop/cart of bar/web.r1.1 crash: panic: boom", "cart <17>", "812 messages", "2 messages waited", "5 crashes before this one",
		"its last message\n  │ {add 3}", "its state\n  │ &{items:[]}", "  │ main.(*cart).Handle",
	} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("no %q in:\n%s", want, &b)
		}
	}
	if strings.Contains(b.String(), "\x1b") || strings.Contains(b.String(), "gives up") {
		t.Errorf("%q", &b)
	}
}
