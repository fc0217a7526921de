package routefile

import (
	"net/netip"
	"time"

	"semper/edge/route"
	"semper/edge/words"
	"semper/internal/strict"
)

// A File is a file that was read and can be served.
type File struct {
	Path         string // as Load was told
	Listeners    []Listener
	Trusted      []netip.Prefix
	Certificates []Certificate
	StickyKeys   StickyKeys
	Log          Log
	Metrics      Address
	Pools        map[string]Pool
	Matcher      *route.Matcher // of the routes, in their order; its rules name pools that are in Pools

	doc *strict.Doc
}

// Given reports whether the file itself has the key at path: "routes[0].retry", "defaults.retry".
func (f *File) Given(path string) bool { return f.doc.Given(path) }

// Object notes that whoever serves the file cannot do what it says at path, and what would help. See [File.Objections].
func (f *File) Object(path, message, hint string) { f.doc.Problem(path, message, hint) }

// Objections are what [File.Object] noted, as [Problems]; nil when there is nothing. Object and Objections are for one goroutine.
func (f *File) Objections() error { return f.doc.Err() }

// PoolPath is the path of a pool's key, for [File.Given] and [File.Object].
func PoolPath(name string) string { return strict.Join("pools", name) }

// NewListener is a listener as it is when the file says nothing about it but its address.
func NewListener() Listener {
	var l Listener
	strict.Defaults(&l)
	return l
}

// A Listener is one address the edge takes connections at; exactly one of HTTP, HTTPS and Unix is set.
type Listener struct {
	HTTP          Address       `yaml:"http" jsonschema:"example=:80" doc:"Address for plain HTTP: :80 on all of the machine's, 127.0.0.1:80 on one."`
	HTTPS         Address       `yaml:"https" jsonschema:"example=:443" doc:"Address for HTTP over TLS."`
	Unix          string        `yaml:"unix" jsonschema:"pattern=^/,example=/run/edge.sock" doc:"Path of a unix socket for plain HTTP."`
	ProxyProtocol bool          `yaml:"proxy_protocol" jsonschema:"default=false" doc:"Connections begin with a PROXY header, version 1 or 2, which says who the client is. Those of networks that are not trusted, and those without, are closed."`
	H2C           bool          `yaml:"h2c" jsonschema:"default=false" doc:"Take HTTP/2 without TLS from clients that begin with it."`
	HTTP2         bool          `yaml:"http2" jsonschema:"default=true" doc:"Offer HTTP/2 over TLS."`
	HTTP3         bool          `yaml:"http3" jsonschema:"default=false" doc:"Take HTTP/3 as well, at the same port of UDP, and say so in answers over TCP (Alt-Svc)."`
	ClientCA      string        `yaml:"client_ca" jsonschema:"example=clients.pem" doc:"File with the authorities of client certificates. Clients have to show one of theirs."`
	ClientAuth    string        `yaml:"client_auth" jsonschema:"enum=require,enum=optional,default=require" doc:"With client_ca: whether a client may come without a certificate."`
	HeadTimeout   time.Duration `yaml:"head_timeout" jsonschema:"default=10s" doc:"How long a request's head may take, from its first byte, and a TLS handshake. Then: 408."`
	IdleTimeout   time.Duration `yaml:"idle_timeout" jsonschema:"default=1m" doc:"How long a connection may wait for its next request."`
	Head          route.Size    `yaml:"head" jsonschema:"default=64KiB" doc:"Largest head of a request. Beyond: 431."`
	Fields        int           `yaml:"fields" jsonschema:"minimum=10,maximum=1000,default=100" doc:"Most header fields of a request. Beyond: 431."`
	Connections   int           `yaml:"connections" jsonschema:"minimum=0,maximum=10000000,default=0" doc:"Most connections at once. 0: as many as the machine has descriptors for."`
}

// A Certificate is where a certificate comes from: Cert and Key, ACME or SelfSigned.
type Certificate struct {
	Cert       string   `yaml:"cert" jsonschema:"example=shop.pem" doc:"File with the certificate, and those between it and the authority. Read again when it changes."`
	Key        string   `yaml:"key" jsonschema:"example=shop.key" doc:"File with its private key."`
	ACME       *ACME    `yaml:"acme" doc:"Get certificates by ACME, and renew them."`
	SelfSigned []string `yaml:"self_signed" jsonschema:"example=localhost" doc:"Names for which to make up a certificate that nobody trusts, for development."`
}

// ACME is an account at an authority and the names to get certificates for.
type ACME struct {
	Names     []string `yaml:"names" jsonschema:"required,example=[shop.example.com]" doc:"The names. Each gets a certificate of its own."`
	Email     string   `yaml:"email" jsonschema:"example=ops@example.com" doc:"Where the authority may write to."`
	Directory string   `yaml:"directory" jsonschema:"pattern=^https://,default=https://acme-v02.api.letsencrypt.org/directory" doc:"URL of the authority."`
	// Challenges are the ways to ask; none: whichever the listeners allow.
	Challenges []string `yaml:"challenges" jsonschema:"enum=http-01,enum=tls-alpn-01,example=[http-01]" doc:"How the authority may ask whether a name is yours: http-01 asks at port 80, tls-alpn-01 at port 443. When left out, tls-alpn-01, and http-01 where a listener has port 80."`
	Roots      string   `yaml:"roots" jsonschema:"example=ca.pem" doc:"File with the authorities that the directory's own certificate is checked by. Those of the system when left out."`
}

// StickyKeys are files with keys and, in a [File], what is in them. Without a current key whoever serves makes one up, once, and
// keeps it over reloads.
type StickyKeys struct {
	Current  string `yaml:"current" jsonschema:"example=sticky.key" doc:"File with the key that signs: 32 random bytes or more, as of head -c 32 /dev/urandom."`
	Previous string `yaml:"previous" jsonschema:"example=sticky.key.old" doc:"File with the key before, still believed."`

	CurrentKey, PreviousKey Secret `yaml:"-"`
}

// A Secret does not show itself when it is printed.
type Secret []byte

// String hides the secret.
func (Secret) String() string { return "[secret]" }

// GoString hides the secret.
func (Secret) GoString() string { return "[secret]" }

// MarshalText hides the secret.
func (Secret) MarshalText() ([]byte, error) { return []byte("[secret]"), nil }

// Log is where the access log goes.
type Log struct {
	Access string `yaml:"access" jsonschema:"example=/var/log/edge.log" doc:"File, stdout or stderr. No access log when left out."`
	Format string `yaml:"format" jsonschema:"enum=json,enum=combined,default=json" doc:"json, or the combined format of Apache."`
}

// A Pool is a set of upstreams that are as good as each other.
type Pool struct {
	Upstreams []Upstream   `yaml:"upstreams" short:"address" jsonschema:"required,example=127.0.0.1:9000" doc:"Its upstreams. Text is an address."`
	Protocol  string       `yaml:"protocol" jsonschema:"enum=auto,enum=h1,enum=h2,enum=h2c,default=auto" doc:"h1: HTTP/1.1. h2: HTTP/2 over TLS. h2c: HTTP/2 without, as most gRPC servers speak it. auto: HTTP/1.1, or over TLS what the upstream offers."`
	TLS       *UpstreamTLS `yaml:"tls" short:"enabled" doc:"Speak TLS to the upstreams. on is enough where the system's authorities and the upstream's name will do."`
	Health    Health       `yaml:"health" short:"path" doc:"Ask each upstream whether it is well. Text is the path to ask for. Nothing is asked when left out."`
	Shadow    Shadow       `yaml:"shadow" short:"to" doc:"Send copies of its requests to another pool, and count where the answers differ. Clients never get those of the copies. Text is the pool."`
	words.Pool
}

// A Shadow is a pool that gets copies of another one's requests.
type Shadow struct {
	To     string   `yaml:"to" jsonschema:"required,example=next" doc:"The pool that gets the copies."`
	Share  float64  `yaml:"share" jsonschema:"minimum=0,maximum=1,default=1" doc:"How many of the requests are copied."`
	Again  bool     `yaml:"again" jsonschema:"default=true" doc:"Send a second copy to the pool itself, to see what differs by itself."`
	Ignore []string `yaml:"ignore" jsonschema:"example=[body.**.updated_at]" doc:"Paths at which a difference does not matter, as semper verify diff has them."`
	Mask   []string `yaml:"mask" jsonschema:"example=[customer_number]" doc:"Names whose values are never shown, besides those that always are not."`
}

// An Upstream is one address of a pool.
type Upstream struct {
	Address UpstreamAddress `yaml:"address" jsonschema:"required,example=127.0.0.1:9000" doc:"host:port, or unix:/path."`
	Weight  int             `yaml:"weight" jsonschema:"minimum=0,maximum=1000,default=1" doc:"Its share, relative to the others'. 0 gets nothing new."`
}

// UpstreamTLS is how connections to upstreams are secured.
type UpstreamTLS struct {
	Enabled    bool   `yaml:"enabled" jsonschema:"default=true" doc:"Whether to."`
	ServerName string `yaml:"server_name" jsonschema:"example=app.internal" doc:"Name that the upstream's certificate has to be for. The host of its address when left out."`
	CA         string `yaml:"ca" jsonschema:"example=internal-ca.pem" doc:"File with the authorities to check it by. Those of the system when left out."`
	Cert       string `yaml:"cert" jsonschema:"example=edge.pem" doc:"File with a certificate to show to the upstream."`
	Key        string `yaml:"key" jsonschema:"example=edge.key" doc:"File with its private key."`
}

// Health is a question to an upstream. Off while Path is empty and TCP is not set.
type Health struct {
	Path     string        `yaml:"path" jsonschema:"pattern=^/,example=/healthz" doc:"Well is who answers GET of this path with a status of 200 to 399."`
	TCP      bool          `yaml:"tcp" jsonschema:"default=false" doc:"Well is who accepts a connection."`
	Host     string        `yaml:"host" jsonschema:"example=app.internal" doc:"Host field of the question. The upstream's address when left out."`
	Interval time.Duration `yaml:"interval" jsonschema:"default=5s" doc:"Time between two questions."`
	Timeout  time.Duration `yaml:"timeout" jsonschema:"default=2s" doc:"How long an answer may take."`
	Rise     int           `yaml:"rise" jsonschema:"minimum=1,maximum=100,default=2" doc:"Good answers in a row until an upstream counts as well again."`
	Fall     int           `yaml:"fall" jsonschema:"minimum=1,maximum=100,default=3" doc:"Bad ones until it does not."`
}
