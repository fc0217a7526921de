package jetstream

import (
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"semper"
	"semper/queue/jetstream/streamstore"
)

// good are facts that nothing is wrong with.
func good() (Facts, Settings) {
	s := Settings{Servers: []string{"nats://a:4222"}, Monitor: []string{"http://a:8222", "http://b:8222", "http://c:8222"}, Replicas: 3}.Filled()
	f := Facts{Payload: 1 << 20, Holders: []string{"a", "b", "c"}, Config: jetstream.StreamConfig{
		Name: s.Stream, Subjects: []string{streamstore.Subject(s.Stream)}, Replicas: 3, Discard: jetstream.DiscardNew, MaxBytes: int64(s.MaxBytes), AllowDirect: true, MaxMsgs: -1, MaxMsgsPerSubject: -1, MaxMsgSize: -1}}
	for _, name := range f.Holders {
		f.Servers = append(f.Servers, Server{Name: name, Version: "2.15.2", JetStream: true, SyncAlways: true, MaxStore: 1 << 40, Reserved: 8 << 30})
	}
	return f, s
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	if f, s := good(); len(f.Refusals(s)) > 0 {
		t.Fatalf("what is good is refused: %v", f.Refusals(s))
	}
	for name, c := range map[string]struct {
		spoil   func(*Facts)
		setting string
		write   string
	}{
		"no jetstream":      {func(f *Facts) { f.Servers[1] = Server{Name: "b"} }, "server b: jetstream is off", "store_dir"},
		"sync now and then": {func(f *Facts) { f.Servers[2].SyncAlways, f.Servers[2].SyncInterval = false, 2*time.Minute }, "server c: jetstream.sync_interval is 2m0s", "sync_interval: always"},
		"an old server":     {func(f *Facts) { f.Servers[0].Version = "2.9.25" }, "server a: version is 2.9.25", "2.12 or later"},
		"promised too much": {func(f *Facts) { f.Servers[0].MaxStore = 1 << 30 }, "jetstream.max_file_store is 1GiB", "max_file_store: 8589934592"},
		"a server unseen":   {func(f *Facts) { f.Holders = append(f.Holders, "d") }, "server d: monitor", "http://HOST-OF-d:8222"},
		"small messages":    {func(f *Facts) { f.Payload = 1 << 16 }, "max_payload is 65536", "max_payload: 1MB"},
		"in memory":         {func(f *Facts) { f.Config.Storage = jetstream.MemoryStorage }, "storage is memory", "another stream"},
		"too few":           {func(f *Facts) { f.Config.Replicas = 1 }, "replicas is 1", "--replicas 3"},
		"async":             {func(f *Facts) { f.Config.PersistMode = jetstream.AsyncPersistMode }, "persist_mode is async", "another stream"},
		"no ack":            {func(f *Facts) { f.Config.NoAck = true }, "no_ack is true", "--ack"},
		"work queue":        {func(f *Facts) { f.Config.Retention = jetstream.WorkQueuePolicy }, "retention is ", "another stream"},
		"age":               {func(f *Facts) { f.Config.MaxAge = time.Hour }, "max_age is 1h0m0s", "--max-age -1"},
		"count":             {func(f *Facts) { f.Config.MaxMsgs = 1000 }, "max_msgs is 1000", "--max-msgs -1"},
		"per subject":       {func(f *Facts) { f.Config.MaxMsgsPerSubject = 1 }, "max_msgs_per_subject is 1", "-1"},
		"discard old":       {func(f *Facts) { f.Config.Discard = jetstream.DiscardOld }, "discard is old", "--discard new"},
		"without bound":     {func(f *Facts) { f.Config.MaxBytes = -1 }, "max_bytes is -1", "--max-bytes 8589934592"},
		"size of messages":  {func(f *Facts) { f.Config.MaxMsgSize = 4096 }, "max_msg_size is 4096", "-1"},
		"no direct":         {func(f *Facts) { f.Config.AllowDirect = false }, "allow_direct is false", "--allow-direct"},
		"no purge":          {func(f *Facts) { f.Config.DenyPurge = true }, "deny_purge is true", "another stream"},
		"sealed":            {func(f *Facts) { f.Config.Sealed = true }, "sealed is true", "another stream"},
		"mirror":            {func(f *Facts) { f.Config.Mirror = &jetstream.StreamSource{} }, "mirror or sources is set", "another stream"},
		"transform":         {func(f *Facts) { f.Config.SubjectTransform = &jetstream.SubjectTransformConfig{} }, "subject_transform is set", "nats stream edit"},
		"subjects":          {func(f *Facts) { f.Config.Subjects = []string{"orders.>"} }, "subjects is orders.>", "--subjects semper-queue.log"},
	} {
		f, s := good()
		c.spoil(&f)
		all := f.Refusals(s)
		if len(all) != 1 || !strings.Contains(all[0].String(), c.setting) || !strings.Contains(all[0].Write, c.write) || all[0].Why == "" {
			t.Errorf("%s: %v", name, all)
		}
		if err := refused(all); semper.CodeOf(err) != semper.Invalid || semper.HintOf(err) == "" {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestSettings(t *testing.T) {
	t.Parallel()
	ok := Settings{Servers: []string{"nats://a:4222", "tls://b"}, Monitor: []string{"https://a:8222"}}
	if err := ok.Check(); err != nil {
		t.Fatal(err)
	}
	for says, spoil := range map[string]func(*Settings){
		"servers is missing":        func(s *Settings) { s.Servers = nil },
		"monitor is missing":        func(s *Settings) { s.Monitor = nil },
		`"a:4222" is not a URL`:     func(s *Settings) { s.Servers = []string{"a:4222"} },
		`"nats://a" is not a URL`:   func(s *Settings) { s.Monitor = []string{"nats://a"} },
		"a user or a password":      func(s *Settings) { s.Servers = []string{"nats://u:secret@a"} },
		`stream: "a.b" is not`:      func(s *Settings) { s.Stream = "a.b" },
		"replicas: 2":               func(s *Settings) { s.Replicas = 2 },
		"max_bytes: 1MiB is too li": func(s *Settings) { s.MaxBytes = 1 << 20 },
	} {
		s := ok
		spoil(&s)
		err := s.Check()
		if err == nil || !strings.Contains(err.Error(), says) || semper.HintOf(err) == "" || strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: %v", says, err)
		}
	}
	for text, want := range map[string]Size{"8GiB": 8 << 30, "512 MiB": 512 << 20, "1024": 1024, "": 0, "-1": 0, "8GB": 0, "9223372036854775807GiB": 0} {
		var got Size
		if err := got.UnmarshalText([]byte(text)); (err == nil) != (want > 0) || got != want {
			t.Errorf("%q is %d, %v", text, got, err)
		}
	}
	if s := (Size(8 << 30)).String() + Size(1000).String(); s != "8GiB1000" {
		t.Error(s)
	}
}
