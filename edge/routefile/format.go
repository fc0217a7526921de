package routefile

import (
	"semper/edge/words"
)

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
	Defaults     words.Policy    `yaml:"defaults" doc:"Settings of every route that does not have its own. What is a list or a table is replaced as a whole."`
	Routes       []routeFormat   `yaml:"routes" jsonschema:"required,example=[{to: app}]" doc:"Which requests go where. The most specific route wins: an exact host before a wildcard before any; an exact path before the longest prefix; more conditions before fewer; then the order here."`
}

type routeFormat struct {
	Name string   `yaml:"name" jsonschema:"example=shop" doc:"Name in the access log and metrics. Made of host and path when left out."`
	Host []string `yaml:"host" jsonschema:"example=shop.example.com" doc:"Host, or a list. *.example.com is everything below example.com. Any host when left out."`
	Path string   `yaml:"path" jsonschema:"example=/api" doc:"Prefix of the path, by whole segments: /api is for /api and /api/x, not for /apix. Any path when left out."`
	words.Match
	To string `yaml:"to" jsonschema:"example=app" doc:"Pool that the requests are passed on to."`
	words.Spread
	words.Answer
	words.Policy
}
