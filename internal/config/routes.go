package config

import (
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"semper"
	"semper/edge/route"
	"semper/edge/words"
	"semper/internal/config/later"
)

// routes looks at where requests go.
func (c *checker) routes() {
	var webs []string
	for _, name := range c.services() {
		if c.f.Services[name].isWeb() {
			webs = append(webs, name)
		}
	}
	if len(c.f.Routes) == 0 {
		if len(webs) > 1 && !c.hasProblem("routes") {
			c.misplaced(firstGiven(c, "routes", "services"), fmt.Sprintf("there are %d web services and no routes", len(webs)), fmt.Sprintf(`add "routes: [{path: /, to: %s}]"`, webs[0]))
		}
		if len(webs) == 1 {
			only := &routeFormat{To: webs[0], Path: "/", Policy: c.policy}
			c.window("", only)
			c.carry("", only)
		}
		return
	}
	type place struct{ host, path string }
	seen := map[place]string{}
	for i := range c.f.Routes {
		path := fmt.Sprintf("routes[%d]", i)
		r := &c.f.Routes[i]
		c.host(path+".host", r.Host)
		c.path(path+".path", r)
		c.action(path, r, webs)
		c.carry(path, r)
		if c.hasProblem(path) || c.routed[i].Match != nil {
			continue
		}
		match := place{r.Host, r.Path}
		if first, twice := seen[match]; twice {
			c.problem(path, fmt.Sprintf("host %s and path %s are routed twice", orWord(r.Host, "any"), r.Path), fmt.Sprintf("the first is in line %d", c.at(first).Line))
			continue
		}
		seen[match] = path
	}
	c.compile()
	for i := range c.f.Routes {
		if c.f.Routes[i].Mode == later.Either {
			c.routed = append(c.routed, later.Preferred(c.routed[i]))
		}
	}
}

// action looks at the one thing that a route does.
func (c *checker) action(path string, r *routeFormat, webs []string) {
	var given []string
	for _, key := range []string{"to", "split", "redirect", "respond", "files"} {
		if c.given(path + "." + key) {
			given = append(given, key)
		}
	}
	switch {
	case len(given) > 1:
		c.misplaced(path+"."+given[1], "the route does two things: "+strings.Join(given, " and "), "keep one")
	case len(given) == 0 && !c.hasProblem(path):
		c.problem(path, "the route does nothing", `add to, split, redirect, respond or files`)
	}
	if r.Files != nil {
		c.files(path+".files", r.Files)
	}
	c.target(path+".to", r.To, r.Mode, webs)
	c.spread(path, r, webs)
	c.mode(path, r)
	c.window(path, r)
	if c.given(path+".exact") && c.given(path+".path") {
		c.misplaced(path+".exact", "the path is given twice", "keep path, for a prefix, or exact")
	}
}

// spread looks at services that share the requests of a route. For whoever knows no split they are those of the one with the most.
func (c *checker) spread(path string, r *routeFormat, webs []string) {
	s := words.Source{Doc: c.words}
	s.Spreads(path, &r.Spread, func(at, name string) {
		what, hint := c.astray(name, "", webs)
		if _, worker := c.f.Services[name]; worker && what != "" {
			what, hint = fmt.Sprintf("%q is a worker, and requests are spread over web services", name), ""
		}
		if what != "" {
			c.words.Problem(at, what, hint)
		}
	})
	s.Fits(path, "defaults", &r.Policy)
	if len(r.Split) == 0 {
		return
	}
	if r.Sticky.By == route.ByRelease {
		c.words.Problem(c.from(path, "sticky.by"), "clients of a split stick to an instance, and not to a release", `write "by: instance", or "to" instead of split`)
	}
	r.To = r.Split.Most()
}

// files looks at a directory of the artifact, which a build may yet have to make.
func (c *checker) files(path string, f *route.Files) {
	words.Source{Doc: c.words}.Files(path, f)
	artifact := c.buildArtifact()
	if c.hasProblem(path) || c.hasProblem("artifact") || artifact.Dir == "" || len(artifact.Build) > 0 {
		return
	}
	if info, err := os.Stat(filepath.Join(artifact.Dir, f.Dir)); err != nil || !info.IsDir() {
		c.words.Problem(path+".dir", f.Dir+" is no directory of the artifact", `make it, name another, or name in "build" what makes it`)
	}
}

// window looks at how long clients stick to a release: the one before runs for as long as it is warm, and not longer.
func (c *checker) window(path string, r *routeFormat) {
	by, at := c.from(path, "sticky.by"), c.from(path, "sticky.for")
	stay, warm := semper.Duration(r.Sticky.For), semper.Spec{Warm: c.f.Warm}.WithDefaults().Warm
	switch {
	case r.Sticky.By != route.ByRelease || c.hasProblem(by) || c.hasProblem(at) || c.hasProblem("warm"):
	case stay == 0:
		c.words.Problem(by, "for how long clients stay with the release before is not said", `add "for: 10m"`)
	case stay > warm:
		c.words.Problem(at, fmt.Sprintf("clients would stay for %s with a release that runs for %s after its cutover", stay, warm), fmt.Sprintf(`write "warm: %s", or make it shorter`, stay))
	}
}

// from is where a route at path has key: there, or in the defaults.
func (c *checker) from(path, key string) string {
	if c.words.Given(path + "." + key) {
		return path + "." + key
	}
	return "defaults." + key
}

// carry makes what a table has of a route that may be used.
func (c *checker) carry(path string, r *routeFormat) {
	rule := semper.RouteRule{Host: r.Host, Path: r.Path, To: r.To}
	rule.Files, rule.Async = r.Files != nil, r.Mode == later.Async
	if r.To != "" && r.Sticky.By == route.ByRelease {
		rule.StickFor = semper.Duration(r.Sticky.For)
	}
	if path != "" && c.hasProblem(path) {
		c.routed = append(c.routed, rule)
		return
	}
	s := words.Source{Doc: c.words, File: c.file}
	if r.Exact != "" {
		rule.Path = r.Exact // for people, and so that no other app has it
	}
	rule.RouteWords = s.Carry(path, "defaults", &words.Route{Match: r.Match, Spread: r.Spread, Answer: r.Answer, Policy: r.Policy})
	c.routed = append(c.routed, rule)
}

// compile reports what an edge would refuse of the routes together. It is asked only where nothing else is wrong with them.
func (c *checker) compile() {
	if len(c.problems) > 0 || c.words.Err() != nil {
		return
	}
	rules := make([]route.Rule, len(c.routed))
	for i, r := range c.routed {
		rule := &rules[i]
		rule.Match.Path = strings.NewReplacer("%", "%25", " ", "%20").Replace(r.Path)
		if r.Host != "" {
			rule.Match.Hosts = []string{r.Host}
		}
		if r.To != "" {
			rule.Action = &route.Forward{Pools: []route.Share{{Pool: r.To, Weight: 1}}}
		}
		path := fmt.Sprintf("routes[%d]", i)
		if err := words.Read(r.RouteWords, rule, false); err != nil {
			c.words.Problem(path, err.Error(), "") // what was written reads the same: nobody sees this
			return
		}
	}
	if _, err := route.Compile(rules); err != nil {
		words.Source{Doc: c.words}.WrongRules(err)
	}
}

// pool looks at how a service's instances are treated.
func (c *checker) pool(path string, s service) {
	c.jobs(path, s.Jobs)
	c.scale(path, s)
	for _, key := range append([]string{"protocol"}, c.fields.poolKeys()...) {
		switch {
		case !c.given(path+"."+key) || c.listens(strings.TrimPrefix(path, "services.")):
		case s.ends():
			c.misplaced(path+"."+key, fmt.Sprintf("%q is of requests, and a %s takes none", key, s.kind()), "remove it")
		default:
			c.misplaced(path+"."+key, fmt.Sprintf("%q is of requests, and a worker that does not listen takes none", key), `remove it, or add "listen: port"`)
		}
	}
	if s.Protocol == string(semper.ProtocolH2C) && s.ProxyProtocol != "off" {
		c.misplaced(path+".proxy_protocol", "a connection of HTTP/2 is shared by clients, and the header is about one", `write "protocol: h1", or remove it`)
	}
	if s.Outlier.Base > s.Outlier.Max {
		c.misplaced(path+".outlier", fmt.Sprintf("base is %s, more than max with %s", s.Outlier.Base, s.Outlier.Max), "make max longer or base shorter")
	}
}

// file is what is in the file that is named at key; *path becomes absolute.
func (c *checker) file(key string, path *string) []byte {
	name := *path
	if name == "" {
		c.words.Problem(key, "no file is named", "name one, or remove the key")
		return nil
	}
	*path = c.absolute(name)
	info, err := os.Stat(*path)
	switch {
	case os.IsNotExist(err):
		c.words.Problem(key, name+" does not exist", "")
		return nil
	case err != nil:
		c.words.Problem(key, fmt.Sprintf("%s cannot be read: %s", name, cause(err)), "")
		return nil
	case !info.Mode().IsRegular():
		c.words.Problem(key, name+" is not a regular file", "")
		return nil
	}
	f, err := os.Open(*path)
	if err != nil {
		c.words.Problem(key, fmt.Sprintf("%s cannot be read: %s", name, cause(err)), "")
		return nil
	}
	defer f.Close() //nolint:errcheck // only read
	b, err := io.ReadAll(io.LimitReader(f, maxFile))
	if err != nil {
		c.words.Problem(key, fmt.Sprintf("%s cannot be read: %s", name, cause(err)), "")
	}
	return b
}

// firstGiven is the first of paths the file has.
func firstGiven(c *checker, paths ...string) string {
	for _, p := range paths {
		if c.given(p) {
			return p
		}
	}
	return ""
}

// host looks at a host name.
func (c *checker) host(path, host string) {
	if host == "" {
		if c.given(path) && !c.hasProblem(path) {
			c.problem(path, "the host is empty", "leave the key out for any host")
		}
		return
	}
	hint := "a name like shop.example.com"
	_, port, err := net.SplitHostPort(host)
	switch {
	case strings.Contains(host, "://"):
		hint = "only the name, without " + host[:strings.Index(host, "://")+3]
	case err == nil && port != "":
		hint = "only the name, without the port"
	case strings.HasPrefix(host, "*"):
		hint = "a name without *; leave the key out for any host"
	case strings.ToLower(host) != host:
		hint = fmt.Sprintf("write %q", strings.ToLower(host))
	case isHost(host):
		return
	}
	c.problem(path, fmt.Sprintf("%q is not a host name", host), hint)
}

// isHost tells a DNS name, in lower case, without a dot at its end.
func isHost(s string) bool {
	return len(s) <= 253 && regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)*$`).MatchString(s)
}

// path looks at a path prefix and takes the slash off its end: /api/ and /api match the same.
func (c *checker) path(path string, r *routeFormat) {
	switch {
	case r.Path == "" && (!c.given(path) || c.hasProblem(path)):
		r.Path = "/"
	case !strings.HasPrefix(r.Path, "/"):
		c.problem(path, fmt.Sprintf("%q is not a path", r.Path), fmt.Sprintf("write %q", "/"+r.Path))
	case strings.ContainsAny(r.Path, " \t\r\n?#*"):
		c.problem(path, fmt.Sprintf("%q is not a path prefix", r.Path), "leave out ?, #, * and spaces; everything below a path matches")
	case strings.Contains(r.Path, "//") || strings.Contains(r.Path+"/", "/./") || strings.Contains(r.Path+"/", "/../"):
		c.problem(path, fmt.Sprintf("%q is not a path prefix", r.Path), "leave out //, . and ..")
	case r.Path != "/":
		r.Path = strings.TrimSuffix(r.Path, "/")
	}
}

// target looks at the service a route leads to.
func (c *checker) target(path, to, mode string, webs []string) {
	if !c.given(path) || c.hasProblem(path) {
		return
	}
	if what, hint := c.astray(to, mode, webs); what != "" {
		c.problem(path, what, hint)
	}
}

// astray is what is wrong with the name of a service that a route of a mode leads to.
func (c *checker) astray(to, mode string, webs []string) (what, hint string) {
	if slices.Contains(webs, to) {
		return "", ""
	}
	if s, known := c.f.Services[to]; known {
		switch {
		case s.ends():
			return fmt.Sprintf("%q is a %s and takes no requests", to, s.kind()), ""
		case mode != later.Async:
			return fmt.Sprintf("%q is a worker: it takes jobs, and nobody can wait for its answer", to), `add "mode: async", and its requests become jobs`
		}
		return "", ""
	}
	if hint = didYouMean(to, webs); hint == "" && len(webs) > 0 {
		hint = oneOf(webs)
	}
	return "there is no service " + strconv.Quote(to), hint
}
