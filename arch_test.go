package semper_test

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const module = "semper"

// A rule places one package: what of this module and what of other modules its own code and its
// tests may import. Everything not named is forbidden. A rule that matches no package, and a
// permission that nobody uses, fail: the table says what is, not what could be.
type rule struct {
	pkg      string   // path below the module; "" is the root
	may      []string // packages of this module, by path
	external []string // modules, or packages of them, by import path prefix
	tests    []string // what only the package's tests may import besides
	why      string
}

// common may be imported by the tests of every package.
var common = []string{
	"internal/abreast", "internal/reserve",
	"github.com/google/go-cmp", "go.uber.org/goleak", "pgregory.net/rapid", "github.com/rogpeppe/go-internal",
}

var rules = []rule{
	{pkg: "", why: "the nouns import the standard library only, so that everything may import them"},

	// Engines decide. They never import each other or an adapter: they meet in node.
	{pkg: "supervise", tests: []string{"supervise/internal/otpcase"}, why: "a public library for any Go program: nothing of semper"},
	{pkg: "supervise/internal/otpcase", may: []string{"supervise", "internal/nearest"}, why: "cases and their traces, for the command and the tests that compare with OTP"},
	{pkg: "supervise/otptrace", may: []string{"supervise/internal/otpcase"}, why: "cases on stdin, traces on stdout"},
	{pkg: "actor", may: []string{"supervise", "actor/telemetry", "actor/internal/few"}, why: "a public library for any Go program: processes, over supervise and nothing else of semper's"},
	{pkg: "actor/agent", may: []string{"actor", "supervise"}, why: "state shared by functions, over the public face of actor"},
	{pkg: "actor/task", may: []string{"actor", "supervise"}, why: "functions with a result, as processes, over the public face of actor"},
	{pkg: "actor/statem", may: []string{"actor", "supervise"}, why: "state machines, as processes"},
	{pkg: "actor/registry", may: []string{"actor", "actor/internal/owned"}, tests: []string{"supervise"}, why: "processes by key, over the public face of actor"},
	{pkg: "actor/group", may: []string{"actor", "actor/internal/owned"}, tests: []string{"supervise"}, why: "named groups of processes, over the public face of actor"},
	{pkg: "actor/internal/few", why: "collections that mostly hold one thing"},
	{pkg: "actor/internal/owned", may: []string{"actor"}, why: "what a process owns in a table, until its end"},
	{pkg: "actor/observer", may: []string{"actor", "supervise"}, why: "the tree seen from inside and, over a socket, from outside; both ends of the protocol"},
	{pkg: "actor/application", may: []string{"supervise"}, tests: []string{"actor"}, why: "trees in the order of their dependencies: over supervise alone, whatever is in the trees"},
	{pkg: "actor/telemetry", why: "events to whoever wants them: a library of its own, over nothing"},
	{pkg: "autoscale", may: []string{""}, why: "how many instances a load asks for: signals and a time in, a number and its reason out"},
	{pkg: "autoscale/waking", why: "what edges are told of a service that sleeps: one value"},
	{pkg: "rollout", may: []string{"", "autoscale", "autoscale/waking", "experiment/design", "internal/nearest", "internal/inbox", "internal/stepwords", "rollout/quiesce"},
		why: "a pure state machine over the nouns"},
	{pkg: "rollout/quiesce", may: []string{"", "internal/argv"}, why: "how a worker is told to take no more: values, for the file, the machine and who performs it"},
	{pkg: "task", may: []string{"", "internal/argv", "internal/nearest", "task/schedule"}, why: "a pure machine over the nouns: commands that end, and when crons are due"},
	{pkg: "task/schedule", may: []string{""}, external: []string{"github.com/robfig/cron/v3"}, why: "when is a cron due: functions of text, zone and instant; the one place that knows the parser"},
	{pkg: "edge", may: []string{"autoscale/waking", "edge/rouse", "", "supervise", "edge/account", "edge/onward", "edge/arms", "edge/background", "edge/balance", "edge/balance/admit", "edge/carry", "edge/compress", "edge/config", "edge/control", "edge/dial", "edge/epoch", "edge/flight", "edge/front", "edge/gate", "edge/heal", "edge/hedge/race", "edge/hold", "edge/http1", "edge/lane", "edge/ledger", "edge/local", "edge/loop", "edge/message", "edge/metrics", "edge/mirror", "edge/mirror/told", "edge/probe", "edge/procid", "edge/refusal", "edge/replay", "edge/route", "edge/route/sticky", "edge/server", "edge/strain", "edge/tablefile", "edge/tunnel", "edge/upstream", "edge/variant", "edge/wait", "edge/witness", "experiment/design"},
		tests: []string{"google.golang.org/protobuf", "golang.org/x/sys", "edge/accesslog", "edge/hedge", "edge/trace", "verify/diff", "edge/wsframe", "github.com/coder/websocket", "github.com/prometheus/client_model", "github.com/prometheus/common", "golang.org/x/net"},
		why:   "the data plane outlives everything else, so it depends on nothing else but what restarts its loops"},
	{pkg: "edge/rouse", may: []string{"", "autoscale/waking", "edge/config", "edge/ledger", "edge/refusal", "edge/route"}, why: "who asks for services that sleep: counters, a bell, and the words of the table"},
	{pkg: "edge/onward", why: "content on its way to a client of net/http, by the standard library alone"},
	{pkg: "edge/background", may: []string{"supervise"}, why: "what works beside the requests of an edge, as a supervision tree; what the parts do is given to it"},
	{pkg: "edge/config", may: []string{"", "edge/balance", "edge/balance/admit", "edge/front", "edge/hedge", "edge/hold", "edge/http1", "edge/message", "edge/route", "edge/route/sticky", "edge/tablefile", "edge/upstream", "edge/words", "edge/mirror", "verify/diff", "internal/inbox"}, why: "what an edge goes by, as values, made ready before a request is looked at"},
	{pkg: "edge/arms", may: []string{"", "edge/ledger", "edge/metrics", "edge/refusal", "edge/route", "edge/route/sticky", "edge/sketch", "edge/words"}, why: "which arm of a split a request belongs to, and what became of it there: no connection, no clock but a cookie's"},
	{pkg: "edge/mirror", may: []string{"", "edge/front", "edge/http1", "edge/message", "edge/metrics", "edge/mirror/told", "edge/replay", "edge/route", "edge/sketch", "edge/trace", "verify/diff"}, external: []string{"github.com/klauspost/compress"},
		why: "copies of requests, beside their way, and what their answers come to: verify's comparison, which is numbers in and counts out"},
	{pkg: "edge/mirror/told", may: []string{"", "verify/diff"}, why: "what an edge tells of copies, for who counts and who judges"},
	{pkg: "edge/control", may: []string{"autoscale/waking", "edge/rouse", "", "edge/ledger", "edge/mirror/told", "experiment/design"}, why: "the words of an edge's own socket: HTTP and JSON around functions"},
	{pkg: "edge/account", may: []string{"edge/front", "edge/ledger", "edge/metrics", "edge/refusal", "edge/witness"}, why: "how a request ended, for the books and the witness, whichever way it took"},
	{pkg: "edge/variant", may: []string{"", "edge/arms", "edge/message", "edge/route", "experiment/design"}, why: "which variants of experiments a request has, and who was exposed to them: by a key and a secret, and for a user's number by arms"},
	{pkg: "edge/heal", may: []string{"edge/balance"}, why: "who is left out for his answers: balance's decisions with the lock and the memory they need"},
	{pkg: "edge/hedge", may: []string{"edge/sketch"}, why: "when a second attempt begins beside the first, and which of two wins: functions of time and events"},
	{pkg: "edge/hedge/race", may: []string{"edge/hedge"}, why: "attempts side by side: hedge's decisions with the goroutines they need"},
	{pkg: "edge/carry", may: []string{"edge/front"}, why: "which drivers there are beside the edge's own; knows none of them"},
	{pkg: "edge/local", may: []string{"edge/epoch", "edge/files", "edge/message", "edge/refusal", "edge/route"}, why: "the answers an edge gives itself, to net/http's requests"},
	{pkg: "edge/dial", may: []string{"edge/proxyproto"}, external: []string{"golang.org/x/sys"}, why: "a connection to an address; nothing of whose it is"},
	{pkg: "edge/refusal", may: []string{"edge/message", "edge/route"}, why: "what the edge says itself where an app does not"},
	{pkg: "edge/compress", external: []string{"github.com/klauspost/compress"}, why: "codings for responses on their way out; knows a response by its header alone"},
	{pkg: "edge/probe", may: []string{"", "edge/balance", "edge/config", "edge/dial"}, why: "the question whether a backend is well, asked once"},
	{pkg: "edge/flight", may: []string{""}, why: "what is in flight to one backend by class: counters and nothing else"},
	{pkg: "edge/gate", may: []string{"edge/balance/admit"}, why: "who has to wait for room in a pool: admit's decisions with the lock and the goroutine they need"},
	{pkg: "edge/message", may: []string{"edge/route"}, why: "net/http's messages made fit for the next hop: functions of one message"},
	{pkg: "edge/replay", why: "a body that more than one attempt may read; of net/http's requests only"},
	{pkg: "edge/tablefile", may: []string{"", "edge/message"}, external: []string{"golang.org/x/sys"}, why: "the last route table on disk, and which tables are none"},
	{pkg: "edge/park", external: []string{"golang.org/x/sys"}, why: "who waits for a socket without a goroutine; knows no protocol"},
	{pkg: "edge/tunnel", may: []string{"edge/ledger", "edge/park", "edge/wsframe"}, why: "two connections joined, and the courtesy of their end"},
	{pkg: "edge/alone", may: []string{"", "supervise", "edge", "edge/accesslog", "edge/certs", "edge/http3", "edge/http3/accept", "edge/proxyproto", "edge/routefile", "edge/upstream", "edge/witness", "internal/handoff", "internal/notify", "internal/trim", "edge/config", "verify/diff"}, external: []string{"golang.org/x/sys"},
		tests: []string{"edge/mirror/told", "edge/certs/pebbletest", "github.com/coder/websocket", "github.com/quic-go/quic-go"},
		why:   "the edge by a file and signals: composition, for those who want nothing else of semper"},
	{pkg: "edge/wait", may: []string{"edge/balance/admit", "edge/front", "edge/gate", "edge/hold", "edge/lane"}, why: "how one request waits, in a line or at a gate, and is told"},
	{pkg: "edge/lane", may: []string{"edge/hold"}, why: "the line before a pool: hold's decisions with the lock and the goroutine they need"},
	{pkg: "edge/hold", why: "who waits, who goes on: a queue of plain values"},
	{pkg: "edge/procid", external: []string{"golang.org/x/sys"}, why: "a process named by pid and start, over restarts"},
	{pkg: "edge/front", may: []string{"edge/http1"}, why: "what the edge and its drivers say to each other; plain values and interfaces"},
	{pkg: "edge/http1", why: "HTTP/1.1 on byte slices: decides, and does no I/O"},
	{pkg: "edge/http3", may: []string{"edge/front", "edge/http1", "edge/room", "edge/stream", "internal/handoff", "internal/steer"}, external: []string{"github.com/quic-go/quic-go"}, tests: []string{"edge/message", "edge/route", "github.com/quic-go/qpack"}, why: "HTTP/3 and nothing of what a request is: the one package that knows quic-go"},
	{pkg: "edge/http3/accept", may: []string{"supervise", "edge", "edge/http3"}, why: "the part of an edge's tree that takes HTTP/3; alone and node have it in common"},
	{pkg: "edge/loop", may: []string{"edge/front", "edge/http1", "edge/room"}, external: []string{"golang.org/x/sys"}, why: "connections over epoll; asks front's questions and decides nothing"},
	{pkg: "edge/stream", may: []string{"edge/http1"}, why: "requests of HTTP/2 and HTTP/3 judged and answered as HTTP/1.1's; of net/http's values only"},
	{pkg: "edge/room", why: "how many there are of something at once: a counter and who waits for it"},
	{pkg: "edge/strain", may: []string{"edge/room"}, external: []string{"golang.org/x/sys"}, why: "what this process is short of; nothing of what for"},
	{pkg: "edge/faults", tests: []string{"edge", "edge/alone"}, why: "an edge as a process of its own, and what goes wrong around it"},
	{pkg: "edge/server", may: []string{"edge/front", "edge/http1", "edge/park", "edge/proxyproto", "edge/room", "edge/server/internal/extended", "edge/server/internal/meter", "edge/stream", "edge/upstream"}, external: []string{"golang.org/x/net", "golang.org/x/sys"},
		tests: []string{"edge/conformance", "edge/conformance/traffic", "edge/conformance/wire", "edge/message", "edge/route"},
		why:   "connections with a goroutine each; asks front's questions, and is net/http to a handler"},
	{pkg: "edge/server/internal/meter", external: []string{"golang.org/x/net"}, why: "HTTP/2's frames counted by their heads; of no server"},
	{pkg: "edge/server/internal/extended", why: "asks package http2 for RFC 8441, before that is initialised"},
	{pkg: "edge/ledger", may: []string{"", "edge/procid"}, external: []string{"golang.org/x/sys"}, why: "counters in a mapped file; control reads them when the edge is dead"},
	{pkg: "edge/accesslog", may: []string{"", "edge/trace"}, why: "a line per request, beside its path; knows a request as plain values"},
	{pkg: "edge/metrics", may: []string{"", "edge/sketch", "edge/trace"},
		tests: []string{"github.com/prometheus/client_model", "github.com/prometheus/common", "google.golang.org/protobuf"},
		why:   "counters on the request's path and their exposition; the official library judges it in tests only"},
	{pkg: "edge/sketch", why: "durations in fixed buckets, to add up, to ask for quantiles, to send"},
	{pkg: "edge/witness", may: []string{"edge/accesslog", "edge/http1", "edge/metrics", "edge/trace"}, why: "one story of a request for counters, log and trace; the only place where the three meet"},
	{pkg: "edge/route", may: []string{"internal/inbox"}, why: "which rule a request falls under, as a value: no connection, no file, no clock"},
	{pkg: "edge/trace", why: "the W3C's trace context and nothing more"},
	{pkg: "edge/certs", may: []string{"", "edge/certs/localca", "supervise"}, external: []string{"github.com/caddyserver/certmagic", "github.com/mholt/acmez/v3", "go.uber.org/zap"},
		tests: []string{"store", "store/mem", "edge/certs/pebbletest", "edge/certs/storagetest", "golang.org/x/crypto"},
		why:   "where the edge's TLS comes from; the one place where ACME is known, and the store only by its contract"},
	{pkg: "edge/certs/pebbletest", may: []string{"internal/reserve"}, why: "an authority to ask, for whoever's tests want one; knows nothing of semper"},
	{pkg: "edge/certs/localca", why: "an authority of one's own: keys and certificates, no storage"},
	{pkg: "edge/certs/mirror", may: []string{"edge/certs"}, tests: []string{"edge/certs/storagetest"}, why: "what edges share, with a copy beside"},
	{pkg: "edge/certs/sealed", may: []string{"edge/certs"}, external: []string{"filippo.io/age"}, tests: []string{"edge/certs/storagetest"}, why: "what edges share, encrypted; age is known here alone"},
	{pkg: "edge/certs/storagetest", may: []string{"edge/certs"}, why: "the contract of what edges share, run by every realization"},
	{pkg: "edge/proxyproto", why: "bytes to a header and back, and a listener that waits for it; nothing of semper"},
	{pkg: "edge/route/sticky", why: "a signed cookie, by the standard library alone"},
	{pkg: "edge/files", tests: []string{"edge/route"}, why: "a directory over HTTP, by the standard library alone"},
	{pkg: "edge/routefile", may: []string{"edge/route", "edge/words", "internal/strict", "verify/diff"}, tests: []string{"go.yaml.in/yaml/v4"}, why: "the file of semper edge run to rules and settings, before anything listens"},
	{pkg: "edge/words", may: []string{"", "edge/route", "internal/strict"}, why: "one vocabulary of routes for every file and table; reads no file itself"},
	{pkg: "internal/strict", external: []string{"go.yaml.in/yaml/v4", "github.com/invopop/jsonschema"}, why: "YAML into types by their tags, with all that is wrong; of no one format"},
	{pkg: "edge/wsframe", why: "the frame boundaries of RFC 6455 and nothing more"},
	{pkg: "edge/balance", may: []string{"edge/epoch"}, why: "who gets a request: arithmetic on counters, which are those that requests claim"},
	{pkg: "edge/balance/admit", why: "what comes in, waits, or is tried again: functions of state and time"},
	{pkg: "edge/upstream", may: []string{"edge/http1"}, external: []string{"golang.org/x/net", "golang.org/x/sys"}, why: "connections to one incarnation of an instance; how messages are framed is http1's alone"},
	{pkg: "verify", why: "the judge is arithmetic: the standard library only, and of semper nothing"},
	{pkg: "verify/diff", may: []string{"verify"}, external: []string{"golang.org/x/net", "google.golang.org/protobuf"}, why: "responses compared, and differences counted: HTML is read as a browser does, Protocol Buffers by their descriptor"},
	{pkg: "verify/capture", may: []string{"internal/jsonwords", "verify/diff", "verify/offline"}, why: "files of recorded traffic to exchanges, one by one; sends nothing"},
	{pkg: "verify/replay", may: []string{"edge/sketch", "verify", "verify/capture", "verify/diff"}, why: "requests sent again and responses compared: of the edge the durations' buckets alone, of semper nothing else"},
	{pkg: "verify/offline", may: []string{"internal/jsonwords", "internal/nearest", "verify", "verify/diff"}, why: "files of batches and of responses, read for the judge"},
	{pkg: "experiment/design", may: []string{""}, why: "the nouns of experiments: what store, tables and the edge's socket carry of them"},
	{pkg: "experiment", may: []string{"", "edge/route", "internal/strict", "verify", "experiment/design"}, why: "what an A/B test has shown: functions of a state and its time; how a user's key is written is the edge's"},
	{pkg: "verify/reference", why: "what others judge by, to compare with: the standard library only"},
	{pkg: "pipeline", may: []string{"", "internal/nearest", "pipeline/attest", "pipeline/window", "pipeline/course"}, why: "a pure state machine over the nouns; signs and stores nothing itself"},
	{pkg: "pipeline/record", may: []string{"", "pipeline", "pipeline/attest", "pipeline/course"}, why: "what is stored of pipelines: keys and writes, for whoever owns the transaction"},
	{pkg: "webhook", why: "messages signed and sent by the standard library; knows no event"},
	{pkg: "pipeline/course", may: []string{""}, why: "what is recorded of runs: nouns, for whoever stores, serves or shows them"},
	{pkg: "pipeline/window", may: []string{""}, why: "times of a wall clock: a function of text and an instant"},
	{pkg: "pipeline/junit", why: "XML to counts and names, by the standard library alone"},
	{pkg: "pipeline/attest", why: "signed statements by the standard library alone, so that any verifier may be compared with it"},
	{pkg: "edge/epoch", why: "the protocol of change: the standard library only, so that what is proven is all there is"},

	{pkg: "edge/conformance", may: []string{"edge/conformance/h3", "edge/conformance/wire"}, external: []string{"golang.org/x/net"},
		tests: []string{"", "supervise", "edge", "edge/config", "edge/http3", "edge/http3/accept", "edge/route", "edge/upstream", "github.com/quic-go/quic-go", "github.com/summerwind/h2spec", "google.golang.org/grpc"},
		why:   "bad inputs for any proxy, seen from both sides: knows the edge by its address, and in its tests as one of many"},
	{pkg: "edge/conformance/h3", may: []string{"edge/conformance/wire"}, external: []string{"github.com/quic-go/quic-go", "github.com/quic-go/qpack"}, why: "a client of HTTP/3 that says anything: of quic-go, as the edge's, but of nothing else of it"},
	{pkg: "edge/conformance/cmd/edgecheck", may: []string{"edge/conformance", "edge/conformance/traffic"}, why: "the bad inputs and the valid traffic from a shell, for any proxy"},
	{pkg: "edge/conformance/traffic", may: []string{"edge/conformance", "edge/conformance/wire"}, tests: []string{"", "edge"}, why: "valid traffic through two proxies at a time; net/http is the other"},
	{pkg: "edge/conformance/wire", why: "the strict judge of what crossed the wire: shares nothing with what it judges"},

	// Adapters wrap one thing each.
	{pkg: "unit", why: "the doc of what a unit is"},
	{pkg: "unit/process", may: []string{"", "unit/process/internal/cgroup"}, external: []string{"golang.org/x/sys"}, why: "wraps the operating system's processes"},
	{pkg: "unit/process/internal/cgroup", may: []string{""}, external: []string{"golang.org/x/sys"}, why: "limits and membership, in both versions of the kernel's control groups"},
	{pkg: "store", may: []string{""}, why: "what every realization of the store shares: keys and their checksummed envelope"},
	{pkg: "store/etcd", may: []string{"", "store"}, external: []string{"go.etcd.io/etcd", "google.golang.org/grpc", "go.uber.org/zap", "golang.org/x/sys"},
		tests: []string{"store/storetest"},
		why:   "the one place where etcd is known"},
	{pkg: "store/mem", may: []string{"", "store"}, tests: []string{"store/storetest"}, why: "the contract in memory, for simulation"},
	{pkg: "store/storetest", may: []string{"", "store"}, external: []string{"github.com/google/go-cmp"}, why: "the contract suite, run by every realization"},
	{pkg: "store/blob", may: []string{""}, external: []string{"golang.org/x/sys"}, why: "content-addressed files; keeper needs it, so no etcd"},

	{pkg: "queue", may: []string{""}, why: "the contract of queues: nouns, policies and what follows from them; stores nothing"},
	{pkg: "queue/backlog", may: []string{"queue"}, why: "what a queue does next, decided: no clock, no lock, no I/O"},
	{pkg: "queue/etcd/record", may: []string{"", "queue", "queue/backlog"}, why: "how the embedded queue writes things down: bytes and nouns, no store"},
	{pkg: "queue/etcd/line", may: []string{"queue"}, why: "who waits for jobs of the embedded queue, in their order: no store"},
	{pkg: "queue/etcd", may: []string{"", "queue", "queue/backlog", "queue/etcd/line", "queue/etcd/record", "queue/spill", "store"}, tests: []string{"queue/queuetest", "store/etcd", "store/mem"},
		why: "queues in the store, by its contract alone: knows neither etcd nor who hands it over"},
	{pkg: "queue/jetstream", may: []string{"", "queue", "queue/etcd", "queue/jetstream/streamstore"}, external: []string{"github.com/nats-io/nats.go"}, tests: []string{"queue/jetstream/natstest", "queue/queuetest"},
		why: "whether a JetStream may be trusted with jobs, and the recipe of queue/etcd over it"},
	{pkg: "queue/jetstream/streamstore", may: []string{"", "store"}, external: []string{"github.com/nats-io/nats.go"}, tests: []string{"queue/jetstream/natstest", "store/storetest"},
		why: "a store's contract over one stream; knows no queue"},
	{pkg: "queue/jetstream/natstest", may: []string{"internal/reserve"}, external: []string{"github.com/nats-io/nats.go"}, why: "a nats-server as a process, for tests"},
	{pkg: "queue/accept", may: []string{"", "queue", "internal/inbox"}, tests: []string{"queue/mem"}, why: "the HTTP face of queues, by their contract alone: knows no engine and no edge"},
	{pkg: "queue/callback", may: []string{"", "internal/inbox", "queue", "queue/dispatch", "webhook"}, tests: []string{"queue/mem"}, why: "ends of jobs as signed messages to whom clients name: jobs themselves; knows no engine"},
	{pkg: "queue/dispatch", may: []string{"", "queue", "internal/inbox"}, tests: []string{"queue/mem"}, why: "jobs to requests and answers to ends: whom it asks is given to it as a transport"},
	{pkg: "queue/meter", may: []string{"", "queue"}, tests: []string{"queue/mem"}, why: "counts around a queue's contract: knows no engine, no store and no exposition"},
	{pkg: "queue/client", tests: []string{"", "queue", "queue/mem", "queue/pull"}, why: "a public library for any Go program that semper runs: nothing of semper"},
	{pkg: "queue/pull", may: []string{"", "queue", "edge/sketch"}, tests: []string{"queue/mem"},
		why: "jobs for workers that ask, by the contract of queues alone: who asks is told to it; the sketch is how the judge is told durations"},
	{pkg: "queue/spill", may: []string{""}, why: "large bodies as files; knows no queue"},
	{pkg: "queue/mem", may: []string{"queue", "queue/backlog"}, tests: []string{"queue/queuetest"}, why: "the contract in memory, for tests and as a model"},
	{pkg: "queue/queuetest", may: []string{"", "queue"}, external: []string{"github.com/google/go-cmp", "pgregory.net/rapid"}, why: "the contract suite, run by every engine"},

	// The root process: few dependencies, no network client, no store.
	{pkg: "keeper", may: []string{"", "api", "supervise", "unit/process", "store/blob", "internal/handoff", "internal/notify", "internal/steer",
		"keeper/allot", "keeper/crash", "keeper/datadir", "keeper/journal", "keeper/mark", "keeper/renew", "keeper/sockets", "keeper/trees", "keeper/wire", "actor/observer"}, external: []string{"golang.org/x/sys"}, tests: []string{"actor"},
		why: "composes supervision with processes; api for its types only"},
	{pkg: "keeper/allot", may: []string{"", "keeper/journal", "unit/process"}, external: []string{"golang.org/x/sys"}, why: "ports and users given to instances"},
	{pkg: "keeper/crash", may: []string{"", "keeper/journal"}, why: "crash reports on disk until control has them"},
	{pkg: "keeper/datadir", may: []string{"", "keeper/journal"}, external: []string{"golang.org/x/sys"}, why: "the marker and the lock of a data directory"},
	{pkg: "keeper/mark", external: []string{"golang.org/x/sys"}, why: "whose a process is, read from the process itself"},
	{pkg: "keeper/renew", may: []string{"", "internal/handoff"}, external: []string{"golang.org/x/sys"}, why: "what a keeper carries over the execution of its successor"},
	{pkg: "keeper/trees", may: []string{"", "api", "actor/observer"}, external: []string{"golang.org/x/sys"}, tests: []string{"actor", "supervise"},
		why: "what runs inside programs, told by them: semper's half of the observer's protocol"},
	{pkg: "keeper/wire", may: []string{"", "api", "internal/handoff", "internal/pause"}, why: "the protocol: its client, and both ends of the upgrade log"},
	{pkg: "keeper/journal", may: []string{"", "unit/process"}, external: []string{"golang.org/x/sys"}, why: "what a killed keeper's successor reads"},
	{pkg: "keeper/sockets", may: []string{"", "internal/handoff", "internal/steer"}, why: "the public listeners and who holds them"},
	{pkg: "internal/handoff", external: []string{"golang.org/x/sys"}, why: "listeners over process boundaries"},
	{pkg: "internal/steer", may: []string{"internal/handoff"}, external: []string{"golang.org/x/sys"}, why: "whose packets of QUIC are whose: for who reads them, and for the keeper, which reads none"},
	{pkg: "internal/abreast", why: "how many tests of a package that waits run at once"},
	{pkg: "internal/reserve", external: []string{"golang.org/x/sys"}, why: "ports kept for processes that are told where to listen"},
	{pkg: "internal/priority", external: []string{"golang.org/x/sys"}, why: "background work steps back behind what serves"},
	{pkg: "internal/notify", external: []string{"golang.org/x/sys"}, why: "sd_notify, both ends"},
	{pkg: "internal/trim", external: []string{"golang.org/x/sys"}, why: "memory back to the system when an edge has nothing to do"},

	// The control process: decides with rollout, sees the world through interfaces that node fills.
	{pkg: "control", may: []string{"autoscale/waking", "control/autoscaling", "", "actor", "api", "control/ask", "control/certificate", "control/checks", "control/delivery", "control/feed", "control/judging", "control/judging/telling", "control/lab", "control/output", "control/prepare", "control/queues", "control/tasks", "task", "edge/mirror/told", "pipeline", "rollout", "store", "supervise", "webhook", "experiment/design", "internal/pause", "pipeline/course"}, tests: []string{"autoscale", "pipeline/attest", "edge/route", "store/mem"}, why: "performs what rollout decides, as a tree of processes; knows neither etcd nor the keeper nor the edge"},
	{pkg: "control/judging/telling", may: []string{"", "api", "control/judging", "verify"}, why: "a judge's record in the words of the API: the judge knows no API, and control no statistics"},
	{pkg: "control/lab", may: []string{"", "api", "edge/route", "experiment", "internal/nearest", "experiment/design", "internal/pause", "rollout", "verify"}, tests: []string{"store/mem"}, why: "experiments kept: entries and parts in the store, reports out; of the edge it knows the hash of a user's key, of rollout what an experiment of releases asks of it"},
	{pkg: "control/judging", may: []string{"", "edge/mirror/told", "edge/sketch", "verify", "verify/diff"}, why: "what edges count, made fit for the judge: functions of a record, a look and its time; the sketch is how edges tell latencies"},

	{pkg: "control/ask", may: []string{"", "rollout/quiesce"}, why: "questions to instances, each asked once; what answers mean is decided elsewhere"},
	{pkg: "control/feed", may: []string{""}, why: "the newest events for whoever follows them"},
	{pkg: "control/checks", may: []string{"", "api", "pipeline/course", "task"}, why: "how judges, gates and tasks stand, for a scrape: a function of what control knows"},
	{pkg: "control/certificate", may: []string{"", "api"}, why: "what is to be told of certificates: functions of what edges say"},
	{pkg: "control/prepare", may: []string{"", "api", "task", "internal/stepwords", "queue", "rollout"}, why: "requests to releases: functions of what is asked and what is stored"},
	{pkg: "control/autoscaling", may: []string{"", "api", "autoscale", "autoscale/waking", "control/queues", "internal/pause", "queue", "rollout"}, why: "autoscale's decisions with the signals and the clock they need; asks through functions it is given"},
	{pkg: "control/queues", may: []string{"", "api", "internal/nearest", "queue", "queue/meter"}, tests: []string{"queue/etcd", "store/mem"}, why: "what people see of queues and do to them, over an engine that is handed in"},
	{pkg: "control/output", may: []string{"", "api"}, why: "what units print, to readers: files are read by what is handed in"},
	{pkg: "control/tasks", may: []string{"", "api", "control/output", "rollout", "task", "task/schedule"}, why: "what control's model has of tasks and crons: decisions and records brought together; commits nothing"},
	{pkg: "control/delivery", may: []string{"", "api", "pipeline", "pipeline/attest", "pipeline/record", "webhook", "internal/pause", "pipeline/junit", "pipeline/course"}, why: "what control's model has of pipelines: decisions, records and who may, brought together; commits nothing"},

	// Composition.
	{pkg: "node", may: []string{"autoscale/waking", "control/delivery", "control/output", "", "actor", "actor/observer", "supervise", "api", "control", "edge", "edge/accesslog", "edge/certs", "edge/certs/mirror", "edge/certs/sealed", "edge/config", "edge/http3", "edge/http3/accept", "edge/ledger", "edge/metrics", "edge/mirror/told", "edge/proxyproto", "edge/tablefile", "keeper", "internal/handoff", "internal/notify", "internal/steer", "internal/trim", "pipeline/attest", "queue/etcd", "store/blob", "store/etcd", "unit/process", "web", "experiment/design", "queue", "queue/accept", "queue/dispatch", "queue/pull", "queue/callback", "queue/meter", "webhook", "internal/inbox", "control/queues", "internal/strict", "queue/jetstream", "store"},
		external: []string{"golang.org/x/sys"}, why: "the only place where engines and adapters meet"},

	// Surfaces.
	{pkg: "api", may: []string{"", "task", "edge/mirror/told", "experiment", "queue", "queue/meter", "verify", "verify/diff", "experiment/design", "internal/pause", "pipeline/course"}, external: []string{"golang.org/x/sys"}, tests: []string{"api/apitest"}, why: "the HTTP API, server and client; what it offers is an interface, and what the judge says it says in the judge's words"},
	{pkg: "api/apitest", may: []string{"", "api", "control/output", "control/tasks", "task", "control/queues", "edge/mirror/told", "pipeline", "queue/mem", "verify", "verify/diff", "experiment/design", "pipeline/course"}, why: "a real service in memory, for the tests of cli and web"},
	{pkg: "web", may: []string{"", "api", "internal/argv", "task", "experiment", "experiment/design", "internal/stepwords", "pipeline/course", "queue", "queue/meter"}, tests: []string{"api/apitest", "verify"}, why: "the page, over the api only; what an experiment says it says in its own words"},
	{pkg: "cli/draw", may: []string{"", "api", "internal/argv", "task", "experiment", "internal/stepwords", "verify", "verify/diff", "verify/replay", "experiment/design", "pipeline/course"}, tests: []string{"edge/mirror/told", "verify/capture"}, why: "values to text: tables, trees, durations; writes nowhere"},
	{pkg: "cli/scaling", may: []string{"api", "cli/draw"}, why: "how many instances there are: arguments and a table"},
	{pkg: "cli/queue", may: []string{"", "api", "cli/draw", "queue", "queue/meter"}, external: []string{"github.com/spf13/cobra"}, why: "the commands of queues; flags, output and the server are given to them"},
	{pkg: "cli/task", may: []string{"", "api", "cli/draw", "task"}, external: []string{"github.com/spf13/cobra", "golang.org/x/sys"}, why: "the commands of tasks and crons; flags, output and the server are given to them"},
	{pkg: "cli/manual", may: []string{"", "cli/draw"}, external: []string{"github.com/spf13/cobra"}, why: "man pages and completion scripts, of whichever tree of commands"},
	{pkg: "cli/experiment", may: []string{"", "api", "cli/draw", "experiment", "experiment/design", "internal/nearest", "internal/pause"}, external: []string{"github.com/spf13/cobra"}, why: "the commands of A/B tests; flags, output and the server are given to them"},
	{pkg: "cli/progress", may: []string{"", "api", "cli/draw"}, why: "a rollout as it goes, on a terminal, in a pipe, as JSON"},
	{pkg: "cli/recorded", may: []string{"cli/draw", "internal/jsonwords", "verify/capture", "verify/diff", "verify/replay"}, tests: []string{"google.golang.org/protobuf"}, why: "recordings compared and sent again, by the texts of flags; knows no server and no cobra"},
	{pkg: "cli/source", may: []string{"", "cli/draw", "internal/config", "store/blob"}, why: "what is deployed: read, built and packed"},
	{pkg: "cli", may: []string{"cli/scaling", "internal/stepwords", "cli/task", "cli/manual", "cli/queue", "queue", "", "api", "cli/draw", "cli/progress", "cli/recorded", "cli/source", "experiment/design", "internal/config", "internal/strict", "verify", "verify/diff", "verify/offline", "verify/replay", "cli/experiment", "pipeline/course"},
		external: []string{"github.com/spf13/cobra", "golang.org/x/term", "go.yaml.in/yaml/v4"},
		tests:    []string{"api/apitest"}, why: "the verbs, over the api only; cobra is known here alone"},
	{pkg: "internal/inbox", may: []string{""}, why: "names that edges, control and the queue process have in common"},
	{pkg: "internal/stepwords", may: []string{""}, why: "what a step is, in words for people: one place for all who say it"},
	{pkg: "internal/pause", why: "a wait that ends with its owner: time alone"},
	{pkg: "internal/argv", why: "command lines as words: functions of text"},
	{pkg: "internal/nearest", why: "what somebody may have meant: words"},
	{pkg: "internal/jsonwords", may: []string{"internal/nearest"}, why: "JSON that people write, and what is wrong with it in the words of the file; of no one format"},
	{pkg: "internal/config/foreign", why: "words of other tools and what they are called here: text to text"},
	{pkg: "internal/config/draft", why: "what a program is, by its files, as the text of a first configuration"},
	{pkg: "internal/config", may: []string{"", "task", "autoscale", "internal/argv", "internal/config/draft", "internal/config/foreign", "edge/route", "edge/words", "experiment", "experiment/design", "internal/nearest", "internal/strict", "internal/config/kind", "internal/config/later", "pipeline", "rollout", "rollout/quiesce", "verify/diff"}, external: []string{"go.yaml.in/yaml/v4", "github.com/invopop/jsonschema"}, why: "semper.yaml to nouns, before anything runs"},
	{pkg: "internal/config/kind", why: "kinds of values that parts of the format have in common"},
	{pkg: "internal/config/later", may: []string{"", "internal/config/kind", "queue", "queue/callback"}, why: "the part of the format about requests that are done later; reads nothing"},
	{pkg: "cmd/semper", may: []string{"", "cli", "edge", "edge/alone", "edge/routefile", "node", "internal/notify", "internal/priority"}, why: "flags to options to node"},

	// Proof.
	{pkg: "e2e", tests: []string{"", "task", "webhook", "api", "edge/certs/pebbletest", "pipeline/course", "queue", "github.com/quic-go/quic-go", "google.golang.org/grpc"}, why: "drives the binary from outside; the nouns for what it asks of the API"},
	{pkg: "e2e/app", may: []string{"queue/client"}, why: "the app that e2e deploys"},
	{pkg: "e2e/rpc", external: []string{"google.golang.org/grpc"}, why: "the gRPC service that e2e deploys: apart, so that the app is small"},
	{pkg: "docs/guides", tests: []string{"actor", "actor/observer", "supervise"}, why: "the code that the guides show"},
	{pkg: "examples", tests: []string{"bench/rig", "github.com/coder/websocket"}, why: "apps of their own, deployed by a test"},
	{pkg: "bench/load", external: []string{"github.com/coder/websocket"}, why: "knows HTTP, not semper"},
	{pkg: "bench/app", external: []string{"github.com/coder/websocket"}, tests: []string{"bench/load"}, why: "what the bench deploys"},
	{pkg: "bench/cmd/load", may: []string{"bench/load"}, why: "the load as a command"},
	{pkg: "bench/rig", may: []string{"api", "internal/reserve"}, external: []string{"golang.org/x/sys"}, why: "drives the binary from outside; api for the keys of its JSON"},
	{pkg: "bench/hold", may: []string{"", "bench/rig", "edge"}, why: "requests that an edge holds, in a process of its own; rig for its memory"},
	{pkg: "bench/kills", may: []string{"bench/rig", "queue", "queue/etcd", "store/etcd"}, why: "kills a whole semper from outside, and goes through the books of its queue"},
	{pkg: "bench/kills/app", why: "does the jobs of bench/kills, and leaves traces outside of semper"},
	{pkg: "bench/queue", may: []string{"bench/rig", "internal/reserve", "queue", "queue/etcd", "store/etcd"}, external: []string{"go.etcd.io/etcd", "go.uber.org/zap"}, why: "the queue beside bare etcd, on a store process of its own"},
	{pkg: "bench/judge", may: []string{"", "api", "bench/load", "bench/rig", "verify"}, why: "what the judge knows how soon, and what it costs: over its public face; the rest to deploy what it judges"},
	{pkg: "bench/actors", may: []string{"actor", "supervise"}, why: "measures them beside Erlang/OTP, over their public faces"},
	{pkg: "bench/proxy", may: []string{"", "bench/proxy/contender", "bench/proxy/generate", "bench/proxy/openloop", "bench/proxy/proc", "bench/rig"}, why: "measures the edge beside other proxies, from outside"},
	{pkg: "bench/proxy/openloop", may: []string{"bench/load"}, external: []string{"golang.org/x/sys"}, why: "requests on a timetable, over raw sockets; load for its histogram"},
	{pkg: "bench/proxy/proc", may: []string{"bench/rig"}, external: []string{"golang.org/x/sys"}, why: "processes on a core of their own, and what they use; rig for their memory"},
	{pkg: "bench/proxy/contender", may: []string{"bench/proxy/proc", "bench/rig"}, tests: []string{"edge/routefile"}, why: "the proxies that are compared, semper from outside like the others"},
	{pkg: "bench/proxy/generate", external: []string{"github.com/coder/websocket"}, why: "closed-loop work for any proxy"},
	{pkg: "bench/proxy/backend", external: []string{"github.com/coder/websocket"}, why: "the instance behind the proxies"},
	{pkg: "bench/proxy/trial", may: []string{"", "edge"}, why: "the edge as a program that is told how a release is tried"},
	{pkg: "bench/proxy/reverse", why: "the standard library's proxy as a program, and nothing else"},
	{pkg: "bench/cmd/bench", may: []string{"", "api", "bench/load", "bench/rig"}, why: "measures through load and rig; the nouns and api for the keys of the JSON"},
	{pkg: "bench/cmd/demo", may: []string{"bench/load", "bench/rig"}, why: "shows through load and rig"},
}

// A pkg is what the sources of one package say.
type pkg struct {
	path    string
	files   []source
	imports map[string]string // import path → a file that has it
	tests   map[string]string // the same of _test.go files
}

type source struct {
	name  string
	test  bool
	ast   *ast.File
	lines int
}

// packages parses every Go file below the module's root. In-process on purpose: `go list` answers
// are not part of what the test cache looks at.
func packages(t *testing.T) (map[string]*pkg, *token.FileSet) {
	t.Helper()
	set := token.NewFileSet()
	all := map[string]*pkg{}
	err := filepath.WalkDir(".", func(name string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir():
			return skip(name, d)
		case !strings.HasSuffix(name, ".go"):
			return nil
		}
		text, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		f, err := parser.ParseFile(set, name, text, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		add(all, name, f, strings.Count(string(text), "\n"))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all, set
}

// skip leaves out what is not of this module.
func skip(name string, d fs.DirEntry) error {
	if name == "." {
		return nil
	}
	_, err := os.Stat(filepath.Join(name, "go.mod"))
	if err == nil || d.Name() == "testdata" || strings.HasPrefix(d.Name(), ".") || strings.HasPrefix(d.Name(), "_") {
		return fs.SkipDir
	}
	return nil
}

func add(all map[string]*pkg, name string, f *ast.File, lines int) {
	dir := filepath.ToSlash(filepath.Dir(name))
	if dir == "." {
		dir = ""
	}
	p := all[dir]
	if p == nil {
		p = &pkg{path: dir, imports: map[string]string{}, tests: map[string]string{}}
		all[dir] = p
	}
	s := source{name: name, test: strings.HasSuffix(name, "_test.go"), ast: f, lines: lines}
	p.files = append(p.files, s)
	to := p.imports
	if s.test {
		to = p.tests
	}
	for _, i := range f.Imports {
		if to[unquote(i.Path.Value)] == "" {
			to[unquote(i.Path.Value)] = name
		}
	}
}

func unquote(s string) string {
	u, err := strconv.Unquote(s)
	if err != nil {
		return s
	}
	return u
}

// imported sorts an import path: a package of this module, another module's, or the standard library's.
func imported(p string) (own string, external string) {
	if p == module {
		return "", ""
	}
	if rest, ok := strings.CutPrefix(p, module+"/"); ok {
		return rest, ""
	}
	first, _, _ := strings.Cut(p, "/")
	if strings.Contains(first, ".") {
		return "", p
	}
	return "", "std"
}

func TestImportsFollowTheTable(t *testing.T) {
	t.Parallel()
	all, _ := packages(t)
	placed := map[string]rule{}
	for _, r := range rules {
		if _, twice := placed[r.pkg]; twice {
			t.Errorf("%q is placed twice", r.pkg)
		}
		placed[r.pkg] = r
		if all[r.pkg] == nil {
			t.Errorf("the rule for %q matches no package: delete it", r.pkg)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(all)) {
		r, ok := placed[name]
		if !ok {
			t.Errorf("package %q is not placed: add a rule with its reason to arch_test.go", path.Join(module, name))
			continue
		}
		for _, problem := range r.check(all[name]) {
			t.Error(problem)
		}
	}
}

// check returns every import the rule does not allow, and every permission nobody uses.
func (r rule) check(p *pkg) []string {
	used := map[string]bool{}
	problems := r.judge(p.imports, slices.Concat(r.may, r.external), used)
	inTests := slices.Concat(r.may, r.external, r.tests, common, []string{r.pkg})
	problems = append(problems, r.judge(p.tests, inTests, used)...)
	for _, permission := range slices.Concat(r.may, r.external, r.tests) {
		if !used[permission] {
			problems = append(problems, fmt.Sprintf("nobody in %q imports %q: take it out of its rule", r.pkg, permission))
		}
	}
	if file, ok := p.imports["testing"]; ok && !strings.HasSuffix(r.pkg, "test") {
		problems = append(problems, fmt.Sprintf("%s imports testing: test code must not reach the binary", file))
	}
	return problems
}

func (r rule) judge(imports map[string]string, allowed []string, used map[string]bool) (problems []string) {
	for _, p := range slices.Sorted(maps.Keys(imports)) {
		own, external := imported(p)
		if external == "std" {
			continue
		}
		i := slices.IndexFunc(allowed, func(a string) bool {
			if external == "" {
				return a == own
			}
			return a != "" && (external == a || strings.HasPrefix(external, a+"/"))
		})
		if i < 0 {
			problems = append(problems, fmt.Sprintf("%s must not import %s: %s", imports[p], p, r.why))
			continue
		}
		used[allowed[i]] = true
	}
	return problems
}
