package config

import (
	"cmp"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v4"

	"semper"
	"semper/internal/argv"
	"semper/verify/diff"
)

// A checker looks at what no single key can tell: how keys fit together.
type checker struct {
	*reader
	f   *fileFormat
	dir string // absolute, of the file
	// schema is what deploy.shadow.protobuf names; nil where it names nothing.
	schema *diff.Schema

	routed []semper.RouteRule // what becomes of the routes
	whole  *semper.Pipeline   // what becomes of the environments; nil for none
}

// given tells whether the file sets the key at path.
func (c *checker) given(path string) bool {
	_, ok := c.places[path]
	return ok
}

// at is the node to point at for path: the value, or what is nearest above it.
func (c *checker) at(path string) *yaml.Node {
	for {
		if p, ok := c.places[path]; ok {
			return p.value
		}
		dot := strings.LastIndexByte(path, '.')
		if dot < 0 {
			return nil
		}
		path = path[:dot]
	}
}

// key is the node of the key at path.
func (c *checker) key(path string) *yaml.Node {
	if k := c.places[path].key; k != nil {
		return k
	}
	return c.at(path)
}

// problem reports at the value of path, misplaced at its key.
func (c *checker) problem(path, message, hint string)   { c.add(c.at(path), path, message, hint) }
func (c *checker) misplaced(path, message, hint string) { c.add(c.key(path), path, message, hint) }

// services is the names of all services, sorted.
func (c *checker) services() []string { return slices.Sorted(maps.Keys(c.f.Services)) }

// kind is the service's type, web where it has none.
func (s service) kind() string { return cmp.Or(s.Type, string(semper.Web)) }

// isWeb tells a web service.
func (s service) isWeb() bool { return s.kind() == string(semper.Web) }

func (c *checker) check() {
	c.artifact()
	c.env("env", c.f.Env)
	if c.given("services") && len(c.f.Services) == 0 && !c.hasProblem("services") {
		c.misplaced("services", "there is no service", `add one: "web: {command: …}"`)
	}
	for _, name := range c.services() {
		c.service(name, c.f.Services[name])
	}
	c.routes()
	c.deploy()
	c.migrate()
	c.pipeline()
	c.experiments()
}

// artifact looks at the path, which a build may yet have to make.
func (c *checker) artifact() {
	if c.f.Artifact == "" {
		if c.given("artifact") && !c.hasProblem("artifact") {
			c.problem("artifact", "the path is empty", `write "." for the directory of this file`)
		}
		return
	}
	if c.f.Build != nil {
		return
	}
	info, err := os.Stat(c.absolute(c.f.Artifact))
	switch {
	case os.IsNotExist(err):
		c.problem("artifact", fmt.Sprintf("%s does not exist", c.f.Artifact), `if a command makes it, name it in "build"`)
	case err != nil:
		c.problem("artifact", fmt.Sprintf("%s cannot be read: %s", c.f.Artifact, cause(err)), "")
	case !info.IsDir() && !isTar(c.f.Artifact):
		c.problem("artifact", fmt.Sprintf("%s is neither a directory nor a .tar or .tar.gz file", c.f.Artifact), "")
	}
}

// absolute is path seen from the file's directory.
func (c *checker) absolute(path string) string {
	if filepath.IsAbs(path) {
		return filepath.Clean(path)
	}
	return filepath.Join(c.dir, path)
}

func isTar(path string) bool {
	return strings.HasSuffix(path, ".tar") || strings.HasSuffix(path, ".tar.gz") || strings.HasSuffix(path, ".tgz")
}

// hasProblem tells whether something is wrong at path or below it already.
func (c *checker) hasProblem(path string) bool { return c.wrong[path] || c.words.Wrong(path) }

// env looks at the names of environment variables.
func (c *checker) env(path string, env map[string]semper.EnvVar) {
	for _, name := range slices.Sorted(maps.Keys(env)) {
		at := join(path, name)
		switch {
		case name == "" || argv.NameLength(name) != len(name):
			c.misplaced(at, fmt.Sprintf("%q is not a name of an environment variable", name), "letters, digits and underscores, no digit first")
		case isGiven(name) || strings.HasPrefix(name, "SEMPER_"):
			c.misplaced(at, fmt.Sprintf("%s is given by semper", name), "remove it")
		}
	}
}

// namePattern is what names of services look like.
const namePattern = `^[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?$`

func (c *checker) service(name string, s service) {
	path := join("services", name)
	if !regexp.MustCompile(namePattern).MatchString(name) {
		hint := "lower-case letters, digits and dashes, at most 40, a letter or digit at both ends"
		if fixed := slug(name); fixed != "" && fixed != name {
			hint = fmt.Sprintf("write %q (lower-case letters, digits and dashes, at most 40)", fixed)
		}
		c.misplaced(path, fmt.Sprintf("%q is not a valid name of a service", name), hint)
	}
	c.env(path+".env", s.Env)
	listens := c.listens(name)
	if c.runs(path, s); !s.ends() {
		c.health(path+".health", listens, s.Health.check)
		c.health(path+".liveness", listens, s.Liveness)
		c.health(path+".health.liveness", listens, s.Health.Liveness)
	}
	if c.given(path+".liveness") && c.given(path+".health.liveness") {
		c.misplaced(path+".health.liveness", "liveness is given twice", fmt.Sprintf("the other one is in line %d", c.key(path+".liveness").Line))
	}
	c.backoff(path+".backoff", s.Backoff)
	c.pool(path, s)
	c.worker(name, s)
}

// backoff reports a shortest pause above the longest; what is not given counts with its default.
func (c *checker) backoff(path string, b backoff) {
	filled := defaultsOf(semper.Service{Backoff: semper.Backoff(b)}).Backoff
	if filled.Min <= filled.Max {
		return
	}
	key := path + ".min"
	if !c.given(key) {
		key = path + ".max"
	}
	c.problem(key, fmt.Sprintf("the pause begins with %s, which is more than its max of %s", filled.Min, filled.Max), "")
}

// health looks at one check: it has at most one way to look, and the service can be looked at that way.
func (c *checker) health(path string, listens bool, h check) {
	if !c.given(path) {
		return
	}
	var ways []string
	for _, way := range []string{"path", "tcp", "exec", "notify"} {
		if c.given(path + "." + way) {
			ways = append(ways, way)
		}
	}
	for _, way := range ways {
		if !listens && (way == "path" || way == "tcp") {
			c.misplaced(path+"."+way, fmt.Sprintf("%q needs a service that listens, and this worker does not", way), `use "exec" or "notify", or add "listen: port"`)
		}
	}
	switch {
	case len(ways) > 1:
		c.misplaced(path+"."+ways[1], fmt.Sprintf("%s looks in two ways: %s", last(path), strings.Join(ways, " and ")), "keep one")
	case len(ways) == 0 && !listens:
		c.misplaced(path, last(path)+" of a worker does not say how to look", `add "exec: COMMAND" or "notify: true"`)
	case h.Notify && strings.HasSuffix(path, "liveness"):
		c.misplaced(path+".notify", "liveness cannot be told by READY=1, which is sent once", `use "path", "tcp" or "exec"`)
	}
	if strings.ContainsAny(h.Path, " \t\r\n#") {
		c.problem(path+".path", fmt.Sprintf("%q is not a path", h.Path), "leave out spaces and #")
	}
}

// slug makes a name out of s, or nothing.
func slug(s string) string {
	s = regexp.MustCompile(`[^a-z0-9]+`).ReplaceAllString(strings.ToLower(s), "-")
	s = strings.Trim(s, "-")
	if len(s) > 40 {
		s = strings.Trim(s[:40], "-")
	}
	return s
}
