package route

import "time"

// The tags of the types below are read by package routefile, so that file, schema and edge have one set of names:
// yaml is the key, doc what it means, jsonschema its bounds, short the key that a value in place of keys stands for, off that
// the word turns it off, and on what that word turns on.

// Size is a number of bytes.
type Size int64

// Bytes is s as a number.
func (s Size) Bytes() int64 { return int64(s) }

// Seconds is a duration that matters in whole seconds on the wire.
type Seconds = time.Duration

// Policy is how a rule's requests are treated. [DefaultPolicy] is the one to start from: the zero value has every bound off.
type Policy struct {
	Rewrite      Rewrite       `yaml:"rewrite" doc:"What the upstream is asked for instead."`
	Headers      Headers       `yaml:"headers" doc:"Header fields to set, add and remove."`
	Timeouts     Timeouts      `yaml:"timeouts" doc:"How long nothing may happen. There is no bound on a whole request: a slow upload that goes on is no fault."`
	Limits       Limits        `yaml:"limits" doc:"How large a request may be."`
	Retry        Retry         `yaml:"retry" short:"tries" doc:"When a request is tried again, on another upstream. Never when it could have been carried out and must not be twice: a POST that was sent is not."`
	Hedge        Hedge         `yaml:"hedge" short:"quantile" off:"off" doc:"Ask a second upstream when the first is slow, and take the answer that begins first. Idempotent requests only, and without a body unless content says more. Off when left out."`
	Balance      Balance       `yaml:"balance" short:"algorithm" doc:"Which upstream of a pool gets a request."`
	MaxInFlight  int           `yaml:"max_in_flight" jsonschema:"minimum=0,maximum=1000000,default=0" doc:"How many requests each upstream may have in hand. 0: no bound."`
	Adaptive     bool          `yaml:"adaptive" jsonschema:"default=false" doc:"Find by itself how many requests an upstream can have in hand before it slows down, and let no more through."`
	Queue        Queue         `yaml:"queue" short:"length" doc:"Who waits when every upstream has as much as it may have. Beyond it: 503."`
	RateLimit    []RateLimit   `yaml:"rate_limit" doc:"How many requests are let through. All of the limits have to be kept. Beyond: 429 with Retry-After."`
	Sticky       Sticky        `yaml:"sticky" short:"cookie" doc:"Bring a client back to where it was, by a signed cookie."`
	Class        Class         `yaml:"class" jsonschema:"enum=critical,enum=normal,enum=background,default=normal" doc:"Who is turned away first when there is too much to do: background, which may fill half of the room and of the queue, then normal, which leaves a tenth where critical requests come too."`
	Shadow       Shadowed      `yaml:"shadow" jsonschema:"enum=safe,enum=all,enum=off,default=safe" doc:"Which requests may be copied to a release on trial. safe: methods that ask for no change, GET and the like. all: every method, because the app knows copies by Semper-Shadow and does nothing lasting for them. off: none."`
	Compress     Compress      `yaml:"compress" short:"algorithms" doc:"Compress responses on the way out. Off when left out: a page that repeats what a request says beside a secret tells the secret by its length."`
	AccessLog    bool          `yaml:"access_log" jsonschema:"default=true" doc:"Write a line for each request."`
	MaxStreamAge time.Duration `yaml:"max_stream_age" off:"off" jsonschema:"default=off" doc:"How long a WebSocket or event stream may be open. Then it is closed, spread out in time, so that its client comes back."`
	ErrorPages   []ErrorPage   `yaml:"-"`
	// Patient leaves an upstream that pauses within an answer all the time it takes: Timeouts.Body is for clients only.
	Patient bool `yaml:"-"`
}

// DefaultPolicy is what a rule gets that says nothing: bounds on what a client or an upstream could do without end, retries
// where they are safe, and nothing that changes a message.
func DefaultPolicy() Policy {
	return Policy{
		Timeouts: Timeouts{
			Connect: 2 * time.Second, Response: time.Minute, Body: 30 * time.Second, Write: 30 * time.Second, Stream: time.Hour, MinRate: 128,
		},
		Limits:    Limits{Body: 64 << 20, Head: 64 << 10},
		Retry:     Retry{Tries: 3, On: []string{"connect", "reset"}, Share: 0.2, Floor: 10},
		Hedge:     Hedge{Share: 0.05},
		Balance:   Balance{Algorithm: Least},
		Queue:     Queue{Length: 0, Deadline: 5 * time.Second},
		Sticky:    Sticky{By: ByInstance, Age: 24 * time.Hour, SameSite: "lax"},
		Class:     Normal,
		Shadow:    ShadowSafe,
		Compress:  Compress{Minimum: 1 << 10, Types: compressible()},
		AccessLog: true,
	}
}

// compressible are the media types that gain by compression and are not compressed already.
func compressible() []string {
	return []string{
		"text/html", "text/css", "text/plain", "text/javascript", "text/xml", "text/csv", "application/json", "application/ld+json",
		"application/manifest+json", "application/javascript", "application/xml", "application/rss+xml", "application/atom+xml",
		"application/wasm", "image/svg+xml",
	}
}

// Rewrite changes what is asked of the upstream. At most one of Strip, Prefix and Pattern is set.
type Rewrite struct {
	Strip   bool   `yaml:"strip" jsonschema:"default=false" doc:"Take the prefix of the route off the path: /api/users becomes /users."`
	Prefix  string `yaml:"prefix" jsonschema:"pattern=^/,example=/v2" doc:"Put this in place of the prefix of the route: /api/users becomes /v2/users."`
	Pattern string `yaml:"pattern" jsonschema:"example=^/blog/([0-9]+)$" doc:"Regular expression for the path as it was sent; one that does not match leaves the path as it is. Goes with path."`
	Path    string `yaml:"path" jsonschema:"pattern=^/,example=/posts/$1" doc:"What becomes of a path that matches the pattern. $1 or ${1} is what the first group matched."`
	Host    string `yaml:"host" jsonschema:"example=app.internal" doc:"Host that the upstream sees. The client's, when left out."`
}

// Headers changes fields on the way in and on the way out.
type Headers struct {
	Request  Edit `yaml:"request" doc:"Fields of the request that the upstream gets."`
	Response Edit `yaml:"response" doc:"Fields of the response that the client gets, errors of the edge among them."`
}

// Edit is done in this order: remove, set, add.
type Edit struct {
	Remove []string `yaml:"remove" jsonschema:"example=Server" doc:"Fields to leave out."`
	Set    Fields   `yaml:"set" jsonschema:"example={X-Frame-Options: DENY}" doc:"Fields to put in place of those of the same name."`
	Add    Fields   `yaml:"add" jsonschema:"example={Link: </a.css>; rel=preload}" doc:"Fields to put beside those of the same name."`
}

// Timeouts are about progress: each is how long nothing may happen. 0 is no bound.
type Timeouts struct {
	Connect  time.Duration `yaml:"connect" jsonschema:"default=2s" doc:"Until a connection to the upstream is there."`
	Response time.Duration `yaml:"response" off:"off" jsonschema:"default=1m" doc:"From the end of the request to the head of the response, and in which some of the request has to be taken. Then: 504."`
	Body     time.Duration `yaml:"body" off:"off" jsonschema:"default=30s" doc:"Without a byte of a request's body from the client (408), or of a response's body from the upstream."`
	MinRate  Size          `yaml:"min_rate" off:"off" jsonschema:"default=128B" doc:"Bytes a second that a request's body has to bring on average, once it takes longer than body. Then: 408."`
	Write    time.Duration `yaml:"write" off:"off" jsonschema:"default=30s" doc:"Without a byte that the client took, while there are bytes for it."`
	Stream   time.Duration `yaml:"stream" off:"off" jsonschema:"default=1h" doc:"Without a byte in either direction of a WebSocket or event stream."`
}

// Limits are how large a request may be. 0 is no bound.
type Limits struct {
	Body Size `yaml:"body" off:"off" jsonschema:"default=64MiB" doc:"Body of a request. Beyond: 413."`
	Head Size `yaml:"head" jsonschema:"default=64KiB" doc:"Head of a request; that of the listener counts as well. Beyond: 431."`
}

// Retry is when a request is tried again on another instance. What was never sent is always safe to try again; what was
// sent only with an idempotent method (RFC 9110, 9.2.2), its body still at hand and no byte of a response passed on.
type Retry struct {
	Tries int      `yaml:"tries" off:"off" jsonschema:"minimum=1,maximum=10,default=3" doc:"How often at most, the first time counted."`
	On    []string `yaml:"on" jsonschema:"example=[connect, reset, 503],pattern=^(connect|reset|5[0-9][0-9])$" doc:"After what: connect (nobody accepts), reset (the connection breaks before a response), or a status from 500 to 599. connect and reset when left out."`
	Share float64  `yaml:"share" jsonschema:"minimum=0,maximum=1,default=0.2" doc:"How many retries the pool may see, of all its routes together, as a share of its requests of about the last ten seconds."`
	Floor float64  `yaml:"floor" jsonschema:"minimum=0,maximum=100000,default=10" doc:"How many a second there may be in any case."`
}

// Hedge is a second request to another instance while the first is under way. Off while Quantile and After are 0. It counts as
// a retry as well, so that Retry.Share and Floor bound both together.
type Hedge struct {
	Quantile float64       `yaml:"quantile" off:"off" jsonschema:"minimum=0,maximum=0.999,default=0,example=0.95" doc:"When this share of the requests would have been answered: 0.95 is the 95th percentile of the last half minute. Nothing happens until a hundred are known."`
	After    time.Duration `yaml:"after" off:"off" jsonschema:"default=off,example=20ms" doc:"Never earlier than this; without a quantile, then."`
	Share    float64       `yaml:"share" jsonschema:"minimum=0,maximum=1,default=0.05" doc:"How many second requests there may be, as a share of the pool's requests of about the last ten seconds; one a second in any case. They count as retries as well."`
	Content  Size          `yaml:"content" off:"off" jsonschema:"default=off,example=16KiB" doc:"How large the body of a request may be that is asked twice, 64KiB at most: it is sent to the second as well, once all of it has come. One whose length is not told beforehand counts as 64KiB. off: only requests without a body."`
}

// MostHedged is the most content that a request may have to be given to a second backend: what is kept of it.
const MostHedged = 64 << 10

// Balance is how a pool's instances are chosen from.
type Balance struct {
	Algorithm Algorithm `yaml:"algorithm" jsonschema:"enum=least,enum=round-robin,enum=least-time,enum=rendezvous,enum=maglev,default=least" doc:"least: the fewest requests in hand, of two taken at random. least-time: the same weighed by how long answers take. rendezvous and maglev: by the hash of a key."`
	Key       Key       `yaml:"key" jsonschema:"example=header:X-User" doc:"What rendezvous and maglev hash: client, host, path, header:NAME, cookie:NAME or query:NAME. The client's address when left out."`
}

// Algorithm names a way to choose an instance.
type Algorithm string

// The algorithms.
const (
	Least      Algorithm = "least"
	RoundRobin Algorithm = "round-robin"
	LeastTime  Algorithm = "least-time"
	Rendezvous Algorithm = "rendezvous"
	Maglev     Algorithm = "maglev"
)

// Hashes reports whether the algorithm wants a key.
func (a Algorithm) Hashes() bool { return a == Rendezvous || a == Maglev }

// Queue bounds who waits for an instance with room.
type Queue struct {
	Length   int           `yaml:"length" off:"off" jsonschema:"minimum=0,maximum=1000000,default=0" doc:"How many may wait. 0: nobody does."`
	Deadline time.Duration `yaml:"deadline" jsonschema:"default=5s" doc:"How long one may wait. Then: 503."`
}

// RateLimit is a bound on requests per period: of the rule as a whole, or of each key. Burst may come at once.
type RateLimit struct {
	Requests int           `yaml:"requests" jsonschema:"required,minimum=1,maximum=10000000,example=100" doc:"How many requests."`
	Period   time.Duration `yaml:"period" jsonschema:"default=1s" doc:"In which period."`
	Burst    int           `yaml:"burst" jsonschema:"minimum=1,maximum=10000000,example=50" doc:"How many of them may come at once. As many as requests, when left out."`
	By       Key           `yaml:"by" jsonschema:"example=client" doc:"A limit for each: client, host, path, header:NAME, cookie:NAME or query:NAME. One for all, when left out."`
}

// Sticky brings a client back to the instance or the release it was at. Off while Cookie is empty.
type Sticky struct {
	Cookie   string        `yaml:"cookie" jsonschema:"example=semper" doc:"Name of the cookie; semper-release with by: release, where none is given. It holds where the client was, signed: nobody can ask for an upstream by writing one."`
	By       StickyTo      `yaml:"by" jsonschema:"enum=instance,enum=release,default=instance" doc:"instance: the same upstream while it is up. release: any of the same release, so that a page and the files it loads fit together while releases change."`
	For      time.Duration `yaml:"for" jsonschema:"example=10m" doc:"In semper.yaml, with by: release: how long after a cutover who knows the release before goes on being served by it. Not longer than warm."`
	Age      time.Duration `yaml:"age" jsonschema:"default=24h" doc:"How long after the last request it is brought back."`
	SameSite string        `yaml:"same_site" jsonschema:"enum=lax,enum=strict,enum=none,default=lax" doc:"Attribute of the cookie. none makes it Secure."`
}

// StickyTo is what a client sticks to.
type StickyTo string

// What a client sticks to.
const (
	ByInstance StickyTo = "instance"
	ByRelease  StickyTo = "release"
)

// Shadowed is which requests of a rule may be copied.
type Shadowed string

// What may be copied.
const (
	ShadowSafe Shadowed = "safe" // safe methods (RFC 9110, 9.2.1)
	ShadowAll  Shadowed = "all"
	ShadowOff  Shadowed = "off"
)

// Class is how important requests are to whoever has to turn some away.
type Class string

// The classes.
const (
	Critical   Class = "critical"
	Normal     Class = "normal"
	Background Class = "background"
)

// Compress is about responses that come uncompressed. Off while Algorithms is empty.
type Compress struct {
	Algorithms []string `yaml:"algorithms" on:"zstd gzip" off:"off" jsonschema:"enum=zstd,enum=gzip,example=[zstd, gzip]" doc:"In the order of preference where a client takes several. on is zstd and gzip."`
	Types      []string `yaml:"types" jsonschema:"example=[text/html, application/json]" doc:"Media types to compress. Text, JSON, XML, SVG and WebAssembly when left out."`
	Minimum    Size     `yaml:"minimum" jsonschema:"default=1KiB" doc:"Smaller responses stay as they are."`
}

// An ErrorPage answers in place of the edge's own text for a status from From to To. It keeps the status.
type ErrorPage struct {
	From, To int
	Type     string // Content-Type
	Body     []byte
}

// Page is the error page for a status; nil: the edge's own text. Of several the one for the fewest statuses wins.
func (p *Policy) Page(status int) *ErrorPage {
	var best *ErrorPage
	for i := range p.ErrorPages {
		e := &p.ErrorPages[i]
		if status >= e.From && status <= e.To && (best == nil || e.To-e.From < best.To-best.From) {
			best = e
		}
	}
	return best
}
