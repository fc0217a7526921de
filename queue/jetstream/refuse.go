package jetstream

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"semper"
	"semper/queue/jetstream/streamstore"
)

// Facts are what decides whether an acknowledged job is safe.
type Facts struct {
	Servers []Server               // as their monitoring tells
	Config  jetstream.StreamConfig // of the stream
	Holders []string               // names of the servers that hold it; none: a server alone
	Payload int64                  // largest message of the server that is connected to
}

// Server is one nats-server.
type Server struct {
	URL          string // of its monitoring
	Name         string
	Version      string
	JetStream    bool
	SyncAlways   bool
	SyncInterval time.Duration
	MaxStore     int64 // bytes for all its streams
	Reserved     int64 // of those, by streams with max_bytes
}

// Refusal is one setting under which jobs could be lost.
type Refusal struct {
	Where   string // "server n1" or "stream semper-queue"
	Setting string // as it is called there
	Found   string
	Write   string // what makes it good
	Why     string
}

func (r Refusal) String() string {
	return fmt.Sprintf("%s: %s is %s: %s; write %s", r.Where, r.Setting, r.Found, r.Why, r.Write)
}

// leastPayload is the least max_payload: a commit of the engine is at most two thirds of it.
const leastPayload = 1 << 20

// leastVersion has batched direct gets, and answers them from the same index as appends.
var leastVersion = [2]int{2, 12}

// Refusals are all that is wrong, servers first; none: s may be used.
func (f Facts) Refusals(s Settings) (out []Refusal) {
	s = s.Filled()
	known := map[string]bool{}
	for _, server := range f.Servers {
		known[server.Name] = true
		out = append(out, server.refusals()...)
	}
	for _, name := range f.Holders {
		if !known[name] {
			out = append(out, Refusal{"server " + name, "monitor (in semper's queue.yaml)", "without its URL", "monitor: [" + strings.Join(append(slices.Clone(s.Monitor), "http://HOST-OF-"+name+":8222"), ", ") + "]",
				"it holds the stream, and its settings cannot be read"})
		}
	}
	if f.Payload < leastPayload {
		out = append(out, Refusal{"server", "max_payload", strconv.FormatInt(f.Payload, 10), "max_payload: 1MB", "a commit of the queue may be larger"})
	}
	return append(out, f.stream(s)...)
}

func (v Server) refusals() (out []Refusal) {
	where := "server " + v.Name
	if !v.JetStream {
		return []Refusal{{where, "jetstream", "off", "jetstream { store_dir: DIR, sync_interval: always, max_file_store: SIZE }", "it keeps nothing"}}
	}
	if !v.SyncAlways {
		out = append(out, Refusal{where, "jetstream.sync_interval", v.SyncInterval.String(), "sync_interval: always", "what it acknowledges is on disk up to so much later, and a power loss takes it away"})
	}
	if !atLeast(v.Version, leastVersion) {
		out = append(out, Refusal{where, "version", v.Version, fmt.Sprintf("a server of %d.%d or later", leastVersion[0], leastVersion[1]), "it lacks what the stream is read with, or fixes of losses"})
	}
	if v.Reserved > v.MaxStore {
		out = append(out, Refusal{where, "jetstream.max_file_store", Size(v.MaxStore).String(), fmt.Sprintf("max_file_store: %d or more", v.Reserved), fmt.Sprintf("its streams were promised %d bytes", v.Reserved)})
	}
	return out
}

func atLeast(version string, least [2]int) bool {
	parts := strings.SplitN(version, ".", 3)
	if len(parts) < 2 {
		return false
	}
	major, err1 := strconv.Atoi(parts[0])
	minor, err2 := strconv.Atoi(parts[1])
	return err1 == nil && err2 == nil && (major > least[0] || major == least[0] && minor >= least[1])
}

// stream are the refusals of the stream's own settings.
func (f Facts) stream(s Settings) (out []Refusal) {
	c, edit := f.Config, "nats stream edit "+s.Stream
	again := "another stream in semper's queue.yaml: this one cannot be changed"
	for _, r := range []struct {
		bad                         bool
		setting, found, write, why_ string
	}{
		{c.Storage != jetstream.FileStorage, "storage", "memory", again, "it ends with the server"},
		{c.Replicas < s.Replicas, "replicas", strconv.Itoa(c.Replicas), fmt.Sprintf("%s --replicas %d", edit, s.Replicas), fmt.Sprintf("%d were asked for", s.Replicas)},
		{c.PersistMode == jetstream.AsyncPersistMode, "persist_mode", "async", again, "it acknowledges what is not on disk"},
		{c.NoAck, "no_ack", "true", edit + " --ack", "nothing is acknowledged"},
		{c.Retention != jetstream.LimitsPolicy, "retention", c.Retention.String(), again, "messages go when a consumer has read them"},
		{c.MaxAge != 0, "max_age", c.MaxAge.String(), edit + " --max-age -1", "jobs go by their age"},
		{c.MaxMsgs > 0, "max_msgs", strconv.FormatInt(c.MaxMsgs, 10), edit + " --max-msgs -1", "jobs go when there are more"},
		{c.MaxMsgsPerSubject > 0, "max_msgs_per_subject", strconv.FormatInt(c.MaxMsgsPerSubject, 10), edit + " --max-msgs-per-subject -1", "all jobs are of one subject"},
		{c.Discard != jetstream.DiscardNew, "discard", "old", edit + " --discard new", "a full stream drops jobs instead of refusing new ones"},
		{c.MaxBytes < int64(s.MaxBytes), "max_bytes", Size(c.MaxBytes).String(), fmt.Sprintf("%s --max-bytes %d", edit, int64(s.MaxBytes)), "so much was asked for, and a stream without max_bytes has nothing reserved"},
		{c.MaxMsgSize > 0 && int64(c.MaxMsgSize) < leastPayload, "max_msg_size", strconv.Itoa(int(c.MaxMsgSize)), edit + " --max-msg-size -1", "a commit of the queue may be larger"},
		{!c.AllowDirect, "allow_direct", "false", edit + " --allow-direct", "the stream is read by it"},
		{c.DenyPurge, "deny_purge", "true", again, "what is dead could not be removed"},
		{c.Sealed, "sealed", "true", again, "nothing can be written"},
		{c.Mirror != nil || len(c.Sources) > 0, "mirror or sources", "set", again, "others write into it"},
		{c.SubjectTransform != nil, "subject_transform", "set", edit, "it changes what is written"},
		{!slices.Equal(c.Subjects, []string{streamstore.Subject(s.Stream)}), "subjects", strings.Join(c.Subjects, " "), edit + " --subjects " + streamstore.Subject(s.Stream), "the queue's alone belong into it"},
	} {
		if r.bad {
			out = append(out, Refusal{"stream " + s.Stream, r.setting, r.found, r.write, r.why_})
		}
	}
	return out
}

// refused is all refusals as one error, nil for none.
func refused(all []Refusal) error {
	if len(all) == 0 {
		return nil
	}
	lines := make([]string, len(all))
	for i, r := range all {
		lines[i] = r.String()
	}
	return &semper.Error{Code: semper.Invalid, Op: "queue", Message: "this JetStream would lose jobs: " + strings.Join(lines, "; "),
		Hint: "change each, reload the servers (nats-server --signal reload; sync_interval needs a restart); semper looks again by itself"}
}
