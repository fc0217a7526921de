package words

import (
	"time"

	"semper/edge/route"
)

// The types below are the words themselves: package strict has the meaning of their tags.

// Match is which requests a route is for, besides its host and the prefix of its path.
type Match struct {
	Exact   string               `yaml:"exact" jsonschema:"example=/favicon.ico" doc:"The path itself, instead of a prefix."`
	Scheme  string               `yaml:"scheme" jsonschema:"enum=http,enum=https" doc:"Only requests over plain HTTP, or only those over TLS."`
	Methods []string             `yaml:"methods" jsonschema:"example=[GET, POST]" doc:"Only these methods. GET stands for HEAD as well."`
	Header  map[string]Condition `yaml:"header" short:"equals" jsonschema:"example={X-Canary: yes}" doc:"Only requests with these header fields. Text is the value; or one of equals, prefix, matches and present."`
	Cookie  map[string]Condition `yaml:"cookie" short:"equals" jsonschema:"example={beta: {present: true}}" doc:"Only requests with these cookies, as in header."`
	Query   map[string]Condition `yaml:"query" short:"equals" jsonschema:"example={version: 2}" doc:"Only requests with these parameters in the query, as in header."`
}

// A Tester is whose requests go to a candidate on trial whatever its share is: those that meet all of its conditions.
type Tester struct {
	Header map[string]Condition `yaml:"header" short:"equals" jsonschema:"example={X-Tester: yes}" doc:"Requests with these header fields. Text is the value; or one of equals, prefix, matches and present."`
	Cookie map[string]Condition `yaml:"cookie" short:"equals" jsonschema:"example={beta: {present: true}}" doc:"Requests with these cookies, as in header."`
	Query  map[string]Condition `yaml:"query" short:"equals" jsonschema:"example={candidate: 1}" doc:"Requests with these parameters in the query, as in header."`
}

// Testers are all of them, as a key.
type Testers struct {
	Testers []Tester `yaml:"testers" doc:"Whose requests go to a release on trial whatever its share is: those that meet all conditions of one item. It is not judged by them."`
}

// Spread is how the requests of a route are spread over several pools: in semper.yaml over several services.
type Spread struct {
	Split   Shares    `yaml:"split" jsonschema:"example={blue: 90, green: 10}" doc:"Where the requests go, with shares, instead of to."`
	SplitBy route.Key `yaml:"split_by" jsonschema:"example=cookie:id" doc:"Keeps a client in its part of a split: client, host, path, header:NAME, cookie:NAME or query:NAME. Each request by chance when left out."`
}

// Answer is what the edge answers itself. At most one of its keys is given.
type Answer struct {
	Redirect *route.Redirect `yaml:"redirect" short:"to" doc:"Answer with another place to ask."`
	Respond  *Respond        `yaml:"respond" short:"status" doc:"Answer at once. A number is the status."`
	Files    *route.Files    `yaml:"files" short:"dir" doc:"Answer with files of a directory. Text is the directory."`
}

// Policy is the settings of a route, all of which can stand in defaults as well.
type Policy struct {
	route.Policy
	ErrorPages map[string]string `yaml:"error_pages" jsonschema:"example={404: pages/404.html}" doc:"Files that answer in place of the edge's own text: for a status (404), some (500-504), or all of a kind (5xx). Answers of upstreams stay as they are."`
}

// Condition is what one field, cookie or parameter has to be; exactly one of its keys is given.
type Condition struct {
	Equals  string `yaml:"equals" jsonschema:"example=yes" doc:"Exactly this."`
	Prefix  string `yaml:"prefix" jsonschema:"example=v2" doc:"Begins with this."`
	Matches string `yaml:"matches" jsonschema:"example=^v[23]$" doc:"Regular expression (RE2). It need not match the whole, unless ^ and $ say so."`
	Present bool   `yaml:"present" jsonschema:"example=true" doc:"true: it is there, whatever its value. false: it is not."`
}

// Respond is an answer with a body.
type Respond struct {
	route.Respond
	Body string `yaml:"body" jsonschema:"example=ok" doc:"Body of the answer."`
	File string `yaml:"file" jsonschema:"example=pages/soon.html" doc:"File with the body, instead of body; read when this file is. Its suffix says the Content-Type."`
}

// Pool is how a pool's instances are treated.
type Pool struct {
	Outlier        Outlier       `yaml:"outlier" doc:"Leave out upstreams whose answers fail, for a while."`
	PanicThreshold int           `yaml:"panic_threshold" jsonschema:"minimum=0,maximum=100,default=50" doc:"Percentage of upstreams that have to be well. Below, it is asked of no one any more whether they are: the load of all would break the rest."`
	SlowStart      time.Duration `yaml:"slow_start" off:"off" jsonschema:"default=off" doc:"How long an upstream that comes back takes to its full share."`
	Keepalive      Keepalive     `yaml:"keepalive" doc:"Connections to upstreams that are kept for the next request."`
	ProxyProtocol  string        `yaml:"proxy_protocol" jsonschema:"enum=off,enum=v1,enum=v2,default=off" doc:"Begin connections with a PROXY header that says who the client is. They serve one client then."`
}

// Outlier is when an upstream is left out because of its answers.
type Outlier struct {
	Consecutive    int           `yaml:"consecutive" off:"off" jsonschema:"minimum=0,maximum=1000,default=5" doc:"Failures in a row: no connection, or one that breaks before an answer. 0 is off."`
	Status5xx      bool          `yaml:"status_5xx" jsonschema:"default=false" doc:"Count answers of 500 to 599 as failures as well."`
	FailurePercent int           `yaml:"failure_percent" off:"off" jsonschema:"minimum=0,maximum=100,default=0" doc:"Percentage of requests that fail. 0 is off."`
	Base           time.Duration `yaml:"base" jsonschema:"default=30s" doc:"How long the first time; the n-th time n times as long."`
	Max            time.Duration `yaml:"max" jsonschema:"default=5m" doc:"How long at most."`
	MaxEjected     int           `yaml:"max_ejected" jsonschema:"minimum=0,maximum=100,default=10" doc:"Percentage of the pool that may be out at once. One always may."`
}

// Keepalive bounds idle connections to upstreams.
type Keepalive struct {
	Idle    int           `yaml:"idle" off:"off" jsonschema:"minimum=0,maximum=100000,default=256" doc:"How many per upstream. off: each request has a connection of its own, for upstreams that are not trusted to end their answers where they say."`
	Timeout time.Duration `yaml:"timeout" jsonschema:"default=1m" doc:"How long one is kept. Shorter than the upstream keeps it."`
}
