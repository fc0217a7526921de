package jetstream_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	nats "github.com/nats-io/nats.go/jetstream"

	"semper"
	"semper/queue"
	"semper/queue/jetstream"
	"semper/queue/jetstream/natstest"
)

// TestCluster kills the leader of a stream of three replicas under load: others go on, and nothing that
// was acknowledged is lost or doubled.
func TestCluster(t *testing.T) {
	t.Parallel()
	servers := natstest.Cluster(t, 3)
	s := jetstream.Settings{Replicas: 3, MaxBytes: 256 << 20, Monitor: []string{servers[0].Monitor}}
	for _, server := range servers {
		s.Servers = append(s.Servers, server.URL)
	}
	blind, err := jetstream.New(s, jetstream.Options{ID: "edge-0", Log: quiet(), Patience: 30 * time.Second})
	must(t, err)
	unseen := ""
	for !strings.Contains(unseen, "monitor") { // until they have elected who leads
		ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
		_, err := blind.Ready(ctx)
		cancel()
		if err == nil {
			t.Fatal("servers whose settings nobody has seen are trusted")
		}
		unseen = err.Error()
	}
	must(t, blind.Close())
	if !strings.Contains(unseen, "server n2: monitor") || !strings.Contains(unseen, "server n3: monitor") {
		t.Errorf("it is refused for %s", unseen)
	}
	s.Monitor = append(s.Monitor, servers[1].Monitor, servers[2].Monitor)
	e := connect(t, s, jetstream.Options{ID: "edge-1", Bodies: t.TempDir()})
	defer e.Close()
	q, err := e.Open(t.Context(), shop, rules)
	must(t, err)
	acked := map[queue.ID]bool{}
	accept := func(n int) {
		t.Helper()
		for i := 0; i < n; {
			r, err := q.Enqueue(t.Context(), queue.Job{DedupKey: fmt.Sprint(len(acked)), Request: queue.Request{Method: "POST", Target: "/"}})
			if err == nil {
				acked[r.ID] = true
				i++
			} else if semper.CodeOf(err) != semper.Unavailable {
				t.Fatal(err)
			}
		}
	}
	accept(30)
	js, err := nats.New(servers[0].Connect())
	must(t, err)
	stream, err := js.Stream(t.Context(), jetstream.DefaultStream)
	must(t, err)
	leader := slices.IndexFunc(servers, func(v *natstest.Server) bool { return v.Name == stream.CachedInfo().Cluster.Leader })
	servers[leader].Kill()
	accept(30)
	servers[leader].Start()
	accept(30)
	finish(t, q)
	done, err := q.List(t.Context(), queue.Done, queue.ID{}, 1000)
	must(t, err)
	for _, j := range done {
		if !acked[j.ID] {
			t.Errorf("%s was not acknowledged, and is done", j.ID)
		}
	}
	if len(done) != len(acked) || len(acked) != 90 {
		t.Errorf("%d jobs were acknowledged and %d are done, want 90", len(acked), len(done))
	}
}
