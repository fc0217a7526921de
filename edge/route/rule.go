package route

import "time"

// A Rule is for the requests that its Match describes: they get its Action, under its Policy.
type Rule struct {
	Name   string // for people: in the access log, metrics and errors
	Match  Match
	Action Action
	Policy Policy
	Held   []Held // what holds its requests, beside what holds those of its pools

	index    int // in the order given to Compile
	depth    int // segments of the path that a prefix rule matches
	rewrite  rewriter
	location template // of a Redirect
}

// Held says which requests have to wait, and until when; zero for as long as it stands in the rule.
type Held struct {
	Writes bool // only those with unsafe methods (RFC 9110, 9.2.1)
	Until  time.Time
}

// Index is the rule's place among those that were given to [Compile], from 0.
func (r *Rule) Index() int { return r.index }

// OfQueue reports whether a queue of this machine asks for the rule. What it says of whose request it is, an edge has said when it was
// accepted: it is believed.
func (r *Rule) OfQueue() bool { return r.Match.Queue != "" }

// Match is what a request has to be for a rule. The zero value is every request.
type Match struct {
	// Hosts the request may be for: "shop.example.com", or "*.example.com" for everything below example.com, at any
	// depth. None: any host. Without port; case does not matter.
	Hosts []string
	// Path begins with "/". "" is "/", which as a prefix is every path.
	Path string
	// Exact asks for Path itself; else it is a prefix that ends where a segment does.
	Exact bool
	// Scheme is "http", "https", or "" for both.
	Scheme string
	// Methods the request may have; none: any. GET stands for HEAD as well.
	Methods []string
	// Queue is the name by which a queue of this machine asks for the rule, in Semper-Queue. Clients with an address, which is
	// all but those of a unix socket, never get such a rule, whatever they say. The rest of Match is not looked at.
	Queue string
	// Conditions have to be met all.
	Conditions []Condition
}

// A Condition is something that a request has to have.
type Condition struct {
	In   Place
	Name string // of the field (case does not matter), the cookie or the parameter
	Test Test
	// Value is what Test compares with: text, or the pattern of a regular expression (RE2), which need not match the
	// whole unless it says so by ^ and $.
	Value string
}

// Place is where a condition looks.
type Place uint8

// The places. Where a name stands several times, one of its values has to pass; Absent wants that there is none.
const (
	InField Place = iota // a header field
	InCookie
	InQuery // a parameter of the query, decoded
)

// Test is how a condition looks at a value.
type Test uint8

// The tests.
const (
	Present Test = iota
	Absent
	Equal
	Prefix
	Matches // a regular expression
)

// An Action is what happens to a request: [*Forward], [*Redirect], [*Respond] or [*Files].
type Action interface{ action() }

func (*Forward) action()  {}
func (*Redirect) action() {}
func (*Respond) action()  {}
func (*Files) action()    {}

// Forward sends requests to a pool, or splits them over several.
type Forward struct {
	Pools []Share
	// By makes the split stick: requests with equal keys go to the same pool as long as the shares stay. When the shares of
	// two pools change, keys move only to the one whose part grows. The zero Key leaves each request to chance.
	By Key

	total uint64
}

// A Share is a pool's part of a split.
type Share struct {
	Pool   string
	Weight int // relative to the others'; 0 gets nothing
}

// Pick is the index in Pools for h: a random number, or the hash of a key. The pools' parts of the range of uint64 are
// as their weights. It may be called from anywhere at the same time.
func (f *Forward) Pick(h uint64) int {
	if len(f.Pools) < 2 {
		return 0
	}
	at := mulHigh(h, f.total)
	for i := range f.Pools {
		w := uint64(f.Pools[i].Weight)
		if at < w {
			return i
		}
		at -= w
	}
	return len(f.Pools) - 1
}

// Redirect answers with another place to ask.
type Redirect struct {
	// To is an absolute URL or a path, in which are replaced: {host}, of the request, without its port; {path}, the
	// request's; {rest}, what of that is below the rule's prefix; {query}, with its question mark, or nothing.
	To string `yaml:"to" jsonschema:"required,example=https://{host}{path}{query}" doc:"Where to: a URL or a path. {host}, {path}, {rest} (the path below the prefix of the route) and {query} (with its question mark) are the request's."`
	// Status is 301, 302, 303, 307 or 308. 307 and 308 keep the method.
	Status int `yaml:"status" jsonschema:"enum=301,enum=302,enum=303,enum=307,enum=308,default=308" doc:"307 and 308 keep method and body; 301 and 308 are remembered by browsers."`
}

// Respond answers at once.
type Respond struct {
	Status int    `yaml:"status" jsonschema:"minimum=200,maximum=599,default=200" doc:"Status of the answer."`
	Fields Fields `yaml:"headers" jsonschema:"example={Content-Type: text/plain}" doc:"Header fields of the answer. Content-Type is text/plain; charset=utf-8 when left out."`
	Body   []byte `yaml:"-"`
}

// Files answers with files of a directory. Its fields are those of files.Options, to which it converts.
type Files struct {
	// Within is a directory that Dir is relative to, and that no link leads out of on the way to it; empty where Dir stands alone.
	Within       string   `yaml:"-"`
	Dir          string   `yaml:"dir" jsonschema:"required,example=public" doc:"The directory: relative to this file, or in semper.yaml to the artifact. Nothing outside of it is ever read, wherever links lead."`
	Index        []string `yaml:"index" jsonschema:"default=index.html" doc:"What answers for a directory: the first that exists. There is no listing."`
	Fallback     string   `yaml:"fallback" jsonschema:"example=index.html" doc:"What answers, with 200, for a path that is no file and has no suffix: the page of an application that routes in the browser."`
	Immutable    string   `yaml:"immutable" jsonschema:"example=^/assets/" doc:"Regular expression of the paths whose content never changes under its name: kept for a year. Names with a fingerprint of at least 8 hexadecimal digits when left out."`
	MaxAge       Seconds  `yaml:"max_age" jsonschema:"example=1h" doc:"How long what is neither immutable nor HTML may be kept without asking. Asked about every time when left out, which a 304 answers."`
	Uncompressed bool     `yaml:"uncompressed" jsonschema:"default=false" doc:"Do not look for siblings that are compressed already (app.js.br, app.js.zst, app.js.gz)."`
}
