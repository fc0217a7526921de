package actor

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"slices"
	"testing"
	"time"

	"semper/supervise"
)

// What the next program says of what it took over.
type succession struct {
	PID  int // of the operating system
	From int
	Paid map[string][]int
	Left []string
}

const successorEnv = "ACTOR_TEST_SUCCESSOR"

// TestHandOverToTheNextProgram hands over to another OS process: this test binary, executed again.
func TestHandOverToTheNextProgram(t *testing.T) {
	t.Parallel()
	if os.Getenv(successorEnv) != "" {
		succeed(t)
		return
	}
	s := shop(Under(quiet, "shop"), t, map[string]Server[payment]{"a": &carryingTill{}, "b": &carryingTill{}, "c": &till{}})
	for i := range 1000 {
		_ = at(t, s, "a").Cast(i)
	}
	_ = at(t, s, "b").Cast(-1)
	b := at(t, s, "b").PID()
	ctx, cancel := context.WithTimeout(quiet, time.Minute)
	defer cancel()
	snapshot, err := HandOver(ctx, s)
	if err != nil {
		t.Fatal(err)
	}
	if i := b.Info(); i.Status != StatusSuspended {
		t.Errorf("%+v", i)
	}
	text, err := json.Marshal(snapshot)
	if err != nil {
		t.Fatal(err)
	}
	stop(t, s)

	next := exec.CommandContext(ctx, os.Args[0], "-test.run=^TestHandOverToTheNextProgram$")
	next.Env = append(os.Environ(), successorEnv+"=1")
	next.Stdin = bytes.NewReader(text)
	out, err := next.Output()
	if err != nil {
		t.Fatalf("the next program: %v\n%s", err, out)
	}
	var got succession
	if err := json.NewDecoder(bytes.NewReader(out)).Decode(&got); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	var all []int
	for i := range 1000 {
		all = append(all, i)
	}
	if got.PID == os.Getpid() || got.From != 3 || !slices.Equal(got.Paid["a"], all) || !slices.Equal(got.Paid["b"], []int{-1}) {
		t.Errorf("%+v", got)
	}
	if !slices.Equal(got.Left, []string{"shop/c"}) {
		t.Errorf("left is %v", got.Left)
	}
}

// succeed is the next program: its tree is another one, of which two processes are the same.
func succeed(t *testing.T) {
	var snapshot Snapshot
	if err := json.NewDecoder(os.Stdin).Decode(&snapshot); err != nil {
		t.Fatal(err)
	}
	got := succession{PID: os.Getpid(), Paid: map[string][]int{}}
	a := &carryingTill{}
	ctx := Under(WithHandOver(quiet, snapshot), "shop")
	s, err := supervise.Start(ctx, supervise.Flags{}, []supervise.ChildSpec{
		Child("new", func() Server[payment] { return &till{} }, Options{}),
		Child("b", func() Server[payment] { return &carryingTill{} }, Options{}),
		Child("a", func() Server[payment] { return a }, Options{}),
	}, supervise.Options{})
	if err != nil {
		t.Fatal(err)
	}
	for _, id := range []string{"a", "b", "new"} {
		if got.Paid[id], err = Call(ctx, at(t, s, id), paid); err != nil {
			t.Error(err)
		}
	}
	stop(t, s)
	got.From, got.Left = a.from, snapshot.Left()
	if err := json.NewEncoder(os.Stdout).Encode(got); err != nil {
		t.Fatal(err)
	}
}
