package jetstream

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"semper"
	"semper/queue"
	"semper/queue/jetstream/streamstore"
)

// varz is what is read of a server's monitoring at /varz.
type varz struct {
	Name      string `json:"server_name"`
	Version   string `json:"version"`
	JetStream struct {
		Config *struct {
			MaxStore     int64         `json:"max_storage"`
			SyncInterval time.Duration `json:"sync_interval"`
			SyncAlways   bool          `json:"sync_always"`
		} `json:"config"`
		Stats struct {
			Reserved int64 `json:"reserved_storage"`
		} `json:"stats"`
	} `json:"jetstream"`
}

// maxVarz bounds what is read of one.
const maxVarz = 1 << 20

// look reads the settings of one server.
func look(ctx context.Context, client *http.Client, monitor string) (s Server, err error) {
	at := strings.TrimSuffix(monitor, "/") + "/varz"
	defer func() {
		if err != nil {
			err = &semper.Error{Code: semper.Unavailable, Op: "queue", Message: "the settings of a nats-server cannot be read at " + at, Err: err,
				Hint: "let the server have `http: HOST:8222` and name it in monitor; without them it is not known whether jobs are safe there"}
		}
	}()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, at, nil)
	if err != nil {
		return s, err
	}
	resp, err := client.Do(r)
	if err != nil {
		return s, err
	}
	defer resp.Body.Close() //nolint:errcheck // it is read
	if resp.StatusCode != http.StatusOK {
		return s, fmt.Errorf("it answers %s", resp.Status)
	}
	var v varz
	if err := json.NewDecoder(io.LimitReader(resp.Body, maxVarz)).Decode(&v); err != nil {
		return s, err
	}
	s = Server{URL: monitor, Name: v.Name, Version: v.Version}
	if c := v.JetStream.Config; c != nil {
		s.JetStream, s.SyncAlways, s.SyncInterval, s.MaxStore, s.Reserved = true, c.SyncAlways, c.SyncInterval, c.MaxStore, v.JetStream.Stats.Reserved
	}
	return s, nil
}

// metaID is where a stream made by semper has its name of its own, so that another in its place is known.
const metaID = "semper.id"

// gather reads all facts, and makes the stream if there is none. The servers are looked at first: on one that would lose
// jobs nothing is made.
func gather(ctx context.Context, nc *nats.Conn, client *http.Client, s Settings, noted note) (f Facts, err error) {
	f.Payload = nc.MaxPayload()
	for _, url := range s.Monitor {
		server, err := look(ctx, client, url)
		if err != nil {
			return f, err
		}
		f.Servers = append(f.Servers, server)
	}
	for _, server := range f.Servers {
		if err := refused(server.refusals()); err != nil {
			return f, err
		}
	}
	js, err := jetstream.New(nc)
	if err != nil {
		return f, err
	}
	stream, err := js.Stream(ctx, s.Stream)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		if noted.Sequence > 0 {
			return f, noted.gone("it is gone from the server")
		}
		stream, err = create(ctx, js, s)
	}
	if err != nil {
		return f, unreachable(err)
	}
	info := stream.CachedInfo()
	f.Config = info.Config
	if c := info.Cluster; c != nil && c.Leader != "" {
		f.Holders = append(f.Holders, c.Leader)
		for _, r := range c.Replicas {
			f.Holders = append(f.Holders, r.Name)
		}
	}
	return f, nil
}

func create(ctx context.Context, js jetstream.JetStream, s Settings) (jetstream.Stream, error) {
	stream, err := js.CreateStream(ctx, jetstream.StreamConfig{
		Name: s.Stream, Description: "queues of semper: written by it alone", Subjects: []string{streamstore.Subject(s.Stream)},
		Storage: jetstream.FileStorage, Replicas: s.Replicas, Retention: jetstream.LimitsPolicy, Discard: jetstream.DiscardNew, MaxBytes: int64(s.MaxBytes),
		AllowDirect: true, DenyDelete: true, Metadata: map[string]string{metaID: queue.NewID(time.Now()).String()},
	})
	if errors.Is(err, jetstream.ErrStreamNameAlreadyInUse) { // another process was quicker, with another id
		return js.Stream(ctx, s.Stream)
	}
	var api *jetstream.APIError
	if errors.As(err, &api) && api.Code != http.StatusServiceUnavailable {
		return nil, wrong(fmt.Sprintf("the nats-server makes no stream %s of %s with %d replicas: %s", s.Stream, s.MaxBytes, s.Replicas, api.Description), "raise max_file_store there, or lower max_bytes or replicas in queue.yaml")
	}
	return stream, err
}

func unreachable(err error) error {
	if semper.CodeOf(err) == semper.Invalid || semper.CodeOf(err) == semper.Tampered {
		return err
	}
	return &semper.Error{Code: semper.Unavailable, Op: "queue", Message: "the nats-server does not answer", Err: err, Hint: "look at it: nats server check jetstream"}
}
