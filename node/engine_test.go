package node

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"semper/queue/jetstream"
)

func TestQueueFile(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "queue.yaml")
	f, err := readQueueFile(path)
	if err != nil || f.Engine != "embedded" {
		t.Errorf("no file says %+v, %v", f, err)
	}
	for text, says := range map[string]string{
		"engine: embedded\n":                             "",
		"engine: kafka\n":                                "engine",
		"engine: jetstream\n":                            "servers is missing",
		"engine: jetstream\nserver: [nats://a:4222]\n":   "servers",
		"engine: embedded\nservers: [nats://a:4222]\n":   "servers is of JetStream",
		"engine: jetstream\nreplicas: 9\n":               "replicas",
		"engine: jetstream\nmax_bytes: 8GB\n":            "8GB",
		"engine: jetstream\nservers: [nats://a:4222]\n":  "monitor is missing",
		"engine: jetstream\nservers: [http://a:4222]\n":  "nats://",
		"engine: [jetstream]\nservers: nats://a:4222]\n": "queue.yaml",
	} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := readQueueFile(path)
		if (err == nil) != (says == "") || err != nil && (!strings.Contains(err.Error(), says) || !strings.Contains(err.Error(), "queue.yaml")) {
			t.Errorf("%q: %v", text, err)
		}
	}
	text := "engine: jetstream\nservers: [nats://10.0.0.1:4222, nats://10.0.0.2:4222]\nmonitor: [http://10.0.0.1:8222]\ncredentials: /etc/semper/queue.creds\nca: /etc/semper/ca.pem\nreplicas: 3\nmax_bytes: 16GiB\n"
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	got, err := readQueueFile(path)
	want := queueFile{Engine: "jetstream", Settings: jetstream.Settings{Servers: []string{"nats://10.0.0.1:4222", "nats://10.0.0.2:4222"}, Monitor: []string{"http://10.0.0.1:8222"},
		Credentials: "/etc/semper/queue.creds", CA: "/etc/semper/ca.pem", Stream: jetstream.DefaultStream, Replicas: 3, MaxBytes: 16 << 30}}
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Errorf("%v\n%s", err, diff)
	}
}
