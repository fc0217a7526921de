package config

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"semper"
	"semper/edge/words"
)

// build is the file as others see it. It may only be called when check found nothing.
func (c *checker) build() *File {
	f := c.f
	spec := semper.Spec{
		App: f.App, Services: map[string]semper.Service{}, Warm: f.Warm,
		Drain: semper.DrainDeadlines(f.Drain),
		Hold:  semper.HoldLimits{Requests: f.Hold.Requests, Bytes: int64(f.Hold.Bytes), Age: f.Hold.Age, Rate: f.Hold.Rate},
	}
	spec.Routes, spec.Deploy, spec.Migrate = c.routed, c.buildDeploy(), c.buildMigrate()
	spec.Environments = c.overlays()
	for _, name := range c.services() {
		s := f.Services[name]
		spec.Services[name] = c.buildService("services."+name, s)
	}
	c.defaults()
	return &File{Path: c.name, Spec: spec.WithDefaults(), Pipeline: c.whole, Artifact: c.served(c.buildArtifact()), Experiments: c.f.Experiments, Origins: c.origins}
}

// served is a with the directories that routes answer with.
func (c *checker) served(a Artifact) Artifact {
	for i := range c.f.Routes {
		if f := c.f.Routes[i].Files; f != nil {
			a.Files = append(a.Files, f.Dir)
		}
	}
	return a
}

func (c *checker) buildArtifact() Artifact {
	a := Artifact{Build: c.f.Build, Dir: c.dir}
	if c.f.Artifact == "" {
		return a
	}
	path := c.absolute(c.f.Artifact)
	if isTar(path) && !isDir(path) {
		return Artifact{Build: a.Build, Tar: path}
	}
	a.Dir = path
	return a
}

func (c *checker) buildService(path string, s service) semper.Service {
	out := semper.Service{
		Type: semper.ServiceType(s.Type), Command: s.Command, Instances: s.Instances, Listen: semper.Listen(s.Listen),
		Health:    buildCheck(s.Health.check),
		Stop:      semper.Stop(s.Stop),
		Limits:    semper.Limits{Memory: int64(s.Limits.Memory), CPU: s.Limits.CPU, PIDs: s.Limits.PIDs, Log: int64(s.Limits.Log)},
		Restart:   semper.Restart(s.Restart),
		Intensity: semper.Intensity(s.Intensity),
		Backoff:   semper.Backoff(s.Backoff),
		User:      s.User,
		Pool:      words.Source{Doc: c.words}.CarryPool(path, &s.Pool),
	}
	if c.queued(path) {
		out.Jobs = s.Jobs.Build()
	}
	if c.given(path + ".scale") {
		out.Autoscale = c.scaling(path+".scale", s).Encode()
	}
	c.buildWorker(path, s, &out)
	if s.ends() {
		out.Instances, out.Restart, out.Task = 0, semper.Temporary, s.runs.settings().Raw()
	}
	if s.Protocol != string(semper.ProtocolH1) {
		out.Protocol = semper.Protocol(s.Protocol)
	}
	if !c.given(path + ".instances") {
		out.Instances = 1
	}
	if len(c.f.Env)+len(s.Env) > 0 {
		out.Env = maps.Clone(c.f.Env)
		if out.Env == nil {
			out.Env = map[string]semper.EnvVar{}
		}
		for name := range c.f.Env {
			c.inherit(path, name)
		}
		maps.Copy(out.Env, s.Env)
	}
	live := s.Liveness
	if c.given(path + ".health.liveness") {
		live = s.Health.Liveness
	}
	if c.given(path+".liveness") || c.given(path+".health.liveness") {
		h := buildCheck(live)
		if h.Kind == "" {
			h.Kind = semper.HealthTCP // of a web service: a worker has to say
		}
		out.Liveness = &h
	}
	return out
}

// inherit gives a service's variable the origin it has at the top level, unless the service sets it.
func (c *checker) inherit(path, name string) {
	at := path + ".env." + name
	for _, suffix := range []string{"", ".secret"} {
		if o, ok := c.origins["env."+name+suffix]; ok && !c.given(at) {
			c.origins[at+suffix] = o
		}
	}
}

func buildCheck(h check) semper.Health {
	out := semper.Health{Path: h.Path, Exec: h.Exec, Interval: h.Interval, Timeout: h.Timeout, Grace: h.Grace, Failures: h.Failures}
	switch {
	case h.Path != "":
		out.Kind = semper.HealthHTTP
	case h.TCP:
		out.Kind = semper.HealthTCP
	case len(h.Exec) > 0:
		out.Kind = semper.HealthExec
	case h.Notify:
		out.Kind = semper.HealthNotify
	}
	return out
}

// defaults notes the settings the file leaves to their defaults.
func (c *checker) defaults() {
	for _, s := range c.fields.settings() {
		if s.preset == "" || s.borrowed { // what an edge has for these is in its words, and may change with it
			continue
		}
		for _, path := range c.instances(s.path) {
			if _, set := c.origins[path]; !set {
				c.origins[path] = Origin{Kind: OriginDefault}
			}
		}
	}
}

// each is the paths of a key of the n items of a list; none where it stands in a list of its own.
func each(list string, n int, key string) (paths []string) {
	for i := range n {
		if !strings.Contains(key, "[]") {
			paths = append(paths, fmt.Sprintf("%s[%d].%s", list, i, key))
		}
	}
	return paths
}

// instances is the paths of the file that the path of a setting stands for. Settings that mean nothing where they are have
// none: liveness that is off, listen of a worker that does not.
func (c *checker) instances(setting string) []string {
	rest, ofService := strings.CutPrefix(setting, "services.<name>.")
	if item, ofRoute := strings.CutPrefix(setting, "routes[]."); ofRoute {
		return each("routes", len(c.f.Routes), item)
	}
	if item, ofExperiment := strings.CutPrefix(setting, "experiments[]."); ofExperiment {
		return each("experiments", len(c.f.Experiments), item)
	}
	var paths []string
	for _, section := range []string{"deploy", "migrate"} {
		if strings.HasPrefix(setting, section+".") && !c.given(section) {
			return nil
		}
	}
	if item, ofEnvironment := strings.CutPrefix(setting, "environments.<name>."); ofEnvironment {
		for _, name := range c.order() {
			if !strings.Contains(item, "[]") { // what a gate leaves out is said by the pipeline that comes of it
				paths = append(paths, "environments."+name+"."+item)
			}
		}
		return slices.Clip(paths)
	}
	if !ofService {
		return []string{setting}
	}
	for _, name := range c.services() {
		path := "services." + name + "."
		parent, _, _ := strings.Cut(rest+".", "liveness.")
		switch {
		case strings.Contains(rest, "liveness.") && !c.given(path+parent+"liveness"):
		case (rest == "listen" || rest == "protocol") && !c.listens(name):
		case !c.f.Services[name].means(rest):
		default:
			paths = append(paths, path+rest)
		}
	}
	return slices.Clip(paths)
}

// defaultsOf is s with the documented defaults.
func defaultsOf(s semper.Service) semper.Service {
	return semper.Spec{Services: map[string]semper.Service{"": s}}.WithDefaults().Services[""]
}
