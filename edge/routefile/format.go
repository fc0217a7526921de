package routefile

import "semper/edge/route"

// The types below are the file as it is written; [File] is what is made of it. See package strict for the tags.

type format struct {
	Version      int             `yaml:"version" jsonschema:"minimum=1,maximum=1,default=1" doc:"Version of the file format. Always 1."`
	Listeners    []Listener      `yaml:"listeners" short:"http" doc:"Where the edge listens. The flags --http and --https of semper edge run add to them."`
	Trusted      []Network       `yaml:"trusted" jsonschema:"example=10.0.0.0/8" doc:"Networks of proxies in front of the edge. What they say of the client is believed: X-Forwarded-*, Forwarded, X-Request-Id and the PROXY protocol. Anybody else's is dropped."`
	Certificates []Certificate   `yaml:"certificates" doc:"Certificates for TLS. Each connection gets the one for the name it asks for: an exact name before a wildcard, before the first of the list."`
	StickyKeys   StickyKeys      `yaml:"sticky_keys" short:"current" doc:"Files with the keys that sign sticky cookies. Edges with the same keys bring clients back to the same place. A new one is made up at each start when left out."`
	Log          Log             `yaml:"log" short:"access" doc:"The access log."`
	Metrics      Address         `yaml:"metrics" jsonschema:"example=127.0.0.1:9100" doc:"Where metrics are served, at /metrics. Nowhere when left out."`
	Pools        map[string]Pool `yaml:"pools" short:"upstreams" doc:"Who requests are passed on to, by name."`
	Defaults     policy          `yaml:"defaults" doc:"Settings of every route that does not have its own. What is a list or a table is replaced as a whole."`
	Routes       []routeFormat   `yaml:"routes" jsonschema:"required,example=[{to: app}]" doc:"Which requests go where. The most specific route wins: an exact host before a wildcard before any; an exact path before the longest prefix; more conditions before fewer; then the order here."`
}

// policy is the settings of a route, all of which can stand in defaults as well.
type policy struct {
	route.Policy
	ErrorPages map[string]string `yaml:"error_pages" jsonschema:"example={404: pages/404.html}" doc:"Files that answer in place of the edge's own text: for a status (404), some (500-504), or all of a kind (5xx). Answers of upstreams stay as they are."`
}

type routeFormat struct {
	Name     string               `yaml:"name" jsonschema:"example=shop" doc:"Name in the access log and metrics. Made of host and path when left out."`
	Host     []string             `yaml:"host" jsonschema:"example=shop.example.com" doc:"Host, or a list. *.example.com is everything below example.com. Any host when left out."`
	Path     string               `yaml:"path" jsonschema:"example=/api" doc:"Prefix of the path, by whole segments: /api is for /api and /api/x, not for /apix. Any path when left out."`
	Exact    string               `yaml:"exact" jsonschema:"example=/favicon.ico" doc:"The path itself, instead of a prefix."`
	Scheme   string               `yaml:"scheme" jsonschema:"enum=http,enum=https" doc:"Only requests over plain HTTP, or only those over TLS."`
	Methods  []string             `yaml:"methods" jsonschema:"example=[GET, POST]" doc:"Only these methods. GET stands for HEAD as well."`
	Header   map[string]condition `yaml:"header" short:"equals" jsonschema:"example={X-Canary: yes}" doc:"Only requests with these header fields. Text is the value; or one of equals, prefix, matches and present."`
	Cookie   map[string]condition `yaml:"cookie" short:"equals" jsonschema:"example={beta: {present: true}}" doc:"Only requests with these cookies, as in header."`
	Query    map[string]condition `yaml:"query" short:"equals" jsonschema:"example={version: 2}" doc:"Only requests with these parameters in the query, as in header."`
	To       string               `yaml:"to" jsonschema:"example=app" doc:"Pool that the requests are passed on to."`
	Split    shares               `yaml:"split" jsonschema:"example={blue: 90, green: 10}" doc:"Pools with their shares, instead of to."`
	SplitBy  route.Key            `yaml:"split_by" jsonschema:"example=cookie:id" doc:"Keeps a client in its part of a split: client, host, path, header:NAME, cookie:NAME or query:NAME. Each request by chance when left out."`
	Redirect *route.Redirect      `yaml:"redirect" short:"to" doc:"Answer with another place to ask."`
	Respond  *respond             `yaml:"respond" short:"status" doc:"Answer at once. A number is the status."`
	Files    *route.Files         `yaml:"files" short:"dir" doc:"Answer with files of a directory. Text is the directory."`
	policy
}

// condition is what one field, cookie or parameter has to be; exactly one of its keys is given.
type condition struct {
	Equals  string `yaml:"equals" jsonschema:"example=yes" doc:"Exactly this."`
	Prefix  string `yaml:"prefix" jsonschema:"example=v2" doc:"Begins with this."`
	Matches string `yaml:"matches" jsonschema:"example=^v[23]$" doc:"Regular expression (RE2). It need not match the whole, unless ^ and $ say so."`
	Present bool   `yaml:"present" jsonschema:"example=true" doc:"true: it is there, whatever its value. false: it is not."`
}

type respond struct {
	route.Respond
	Body string `yaml:"body" jsonschema:"example=ok" doc:"Body of the answer."`
	File string `yaml:"file" jsonschema:"example=pages/soon.html" doc:"File with the body, instead of body; read when this file is. Its suffix says the Content-Type."`
}
