package config

import (
	"fmt"
	"maps"
	"slices"

	"semper"
	"semper/pipeline"
)

// envFormat is one of the pipeline, and what a release has otherwise in it.
type envFormat struct {
	After       string                   `yaml:"after" jsonschema:"example=beta" doc:"The environment a release has to have passed before. The one written before when left out."`
	Scale       map[string]instances     `yaml:"scale" jsonschema:"example={web: 1}" doc:"How many copies of a service run here, in place of its instances."`
	Env         map[string]semper.EnvVar `yaml:"env" jsonschema:"example={LOG_LEVEL: debug}" doc:"Environment variables of every service here. They win over a service's own."`
	Hosts       map[string]hostName      `yaml:"hosts" jsonschema:"example={shop.example.com: beta.example.com}" doc:"Hosts of routes here, by those they stand in for. \"*\" is for routes of any host."`
	Gates       []gate                   `yaml:"gates" jsonschema:"example=[{run: ./smoke.sh}]" doc:"What has to hold before a release enters (soak, approve, window) or once it serves (run, http, canary, shadow), in this order."`
	Requires    []string                 `yaml:"requires" jsonschema:"example=[tests\\, soak\\, approve]" doc:"Gates whose signed statements let a release in, whoever deploys it: a name, or environment/name. Every gate on the way when left out."`
	Concurrency string                   `yaml:"concurrency" jsonschema:"enum=supersede,enum=queue,default=supersede" doc:"What happens when a newer run comes while one waits here: supersede ends the older one, queue has the newer one wait."`
}

// gate is one condition; it has exactly one of the keys that say what it looks at.
type gate struct {
	Name    string                   `yaml:"name" jsonschema:"example=smoke" doc:"Name of the gate, in statements and requires. When left out: tests for run, else the name of the key."`
	Run     shellCommand             `yaml:"run" jsonschema:"example=./smoke.sh" doc:"A command that has to exit with 0. It runs once per release, in its artifact, as the least privileged user semper can give. Text is run by /bin/sh -c, a list is run as it is."`
	Env     map[string]semper.EnvVar `yaml:"env" jsonschema:"example={TARGET: beta.example.com}" doc:"Environment variables of run."`
	Report  string                   `yaml:"report" jsonschema:"example=junit.xml" doc:"The JUnit XML that run leaves, a path below $SEMPER_SCRATCH, where the command may write. No test in it may have failed, and one must have run."`
	HTTP    string                   `yaml:"http" jsonschema:"example=https://beta.example.com/ready" doc:"A URL that has to answer with the status of expect. It is asked each second until it does or the timeout is over."`
	Expect  int                      `yaml:"expect" jsonschema:"minimum=100,maximum=599,default=200" doc:"The status that http has to answer with."`
	Timeout semper.Duration          `yaml:"timeout" jsonschema:"example=5m" doc:"How long run (10m when left out) or http (1m) may take."`
	Soak    semper.Duration          `yaml:"soak" jsonschema:"example=30m" doc:"How long the release has to have served in the environment before."`
	Approve []string                 `yaml:"approve" jsonschema:"example=[ops]" doc:"Users, groups or roles of whom one has to say yes: semper pipeline approve."`
	Expires semper.Duration          `yaml:"expires" jsonschema:"example=24h" doc:"How long a yes holds. For ever when left out."`
	Window  window                   `yaml:"window" jsonschema:"example={deny: Fri 16:00-Mon 08:00}" doc:"When a release may enter."`
	Canary  bool                     `yaml:"canary" jsonschema:"enum=true" doc:"The traffic steps of deploy were passed by verdict here."`
	Shadow  bool                     `yaml:"shadow" jsonschema:"enum=true" doc:"The shadow steps of deploy were passed by verdict here."`
	When    string                   `yaml:"when" jsonschema:"enum=before,enum=live" doc:"When run and http are looked at: before the release enters, or live, once it serves (the default)."`
}

type window struct {
	Allow string `yaml:"allow" jsonschema:"example=Mon-Thu 09:00-16:00" doc:"Times at which a release may enter; any when left out. Ranges separated by commas: of the week, of days, or of dates."`
	Deny  string `yaml:"deny" jsonschema:"example=Fri 16:00-Mon 08:00" doc:"Times at which none may."`
	Zone  string `yaml:"zone" jsonschema:"default=UTC,example=Europe/Berlin" doc:"Time zone of both."`
}

type webhook struct {
	URL      string   `yaml:"url" jsonschema:"required,example=https://hooks.example.com/semper" doc:"Where events are sent to, by POST as Standard Webhooks say."`
	Secret   string   `yaml:"secret" jsonschema:"required,example=hook_key" doc:"Name of the secret that signs them: semper secret set NAME."`
	Events   []string `yaml:"events" jsonschema:"example=[gate.*\\, rollout.failed]" doc:"Kinds of events, with .* for all that begin so. All when left out."`
	Internal bool     `yaml:"internal" jsonschema:"enum=true" doc:"Allow link-local addresses, where clouds keep the credentials of their machines."`
}

// instances is a number of copies in a table.
type instances int

// hostName is a host in a table.
type hostName string

// order is the names of the environments as the file has them.
func (c *checker) order() []string {
	names := slices.Collect(maps.Keys(c.f.Environments))
	slices.SortFunc(names, func(a, b string) int {
		x, y := c.key("environments."+a), c.key("environments."+b)
		if x.Line != y.Line {
			return x.Line - y.Line
		}
		return x.Column - y.Column
	})
	return names
}

// pipeline looks at the environments and gates, and makes what a server has of them.
func (c *checker) pipeline() {
	p := semper.Pipeline{App: c.f.App}
	for _, name := range c.order() {
		e, path := c.f.Environments[name], join("environments", name)
		c.overlay(path, e)
		s := semper.Stage{Environment: name, After: e.After, Requires: e.Requires, Concurrency: semper.Concurrency(e.Concurrency)}
		for i, g := range e.Gates {
			s.Gates = append(s.Gates, c.gate(fmt.Sprintf("%s.gates[%d]", path, i), g))
		}
		p.Stages = append(p.Stages, s)
	}
	for _, w := range c.f.Webhooks {
		p.Webhooks = append(p.Webhooks, semper.Webhook(w))
	}
	if c.hasProblem("environments") || c.hasProblem("webhooks") {
		return // what was not read whole says nothing about the rest
	}
	whole, problems := pipeline.Complete(p)
	for _, wrong := range problems {
		at := "environments"
		switch {
		case wrong.Webhook >= 0:
			at = fmt.Sprintf("webhooks[%d]", wrong.Webhook)
		case wrong.Environment != "":
			if at = join(at, wrong.Environment); wrong.Gate >= 0 {
				at = fmt.Sprintf("%s.gates[%d]", at, wrong.Gate)
			}
		}
		if wrong.Key != "" {
			at = join(at, wrong.Key)
		}
		c.problem(at, wrong.Message, wrong.Hint)
	}
	if len(whole.Stages)+len(whole.Webhooks) > 0 {
		c.whole = &whole
	}
}

// overlay looks at what a release has otherwise in an environment.
func (c *checker) overlay(path string, e envFormat) {
	c.env(path+".env", e.Env)
	for _, name := range slices.Sorted(maps.Keys(e.Scale)) {
		at := join(path+".scale", name)
		if _, known := c.f.Services[name]; !known {
			c.misplaced(at, fmt.Sprintf("there is no service %q", name), didYouMean(name, c.services()))
		} else if s := c.f.Services[name]; s.ends() {
			c.misplaced(at, fmt.Sprintf("a %s has no copies: each run is one", s.kind()), "remove it; semper cron pause keeps a cron from running in an environment")
		}
		if n := e.Scale[name]; n < 0 || n > 1000 {
			c.problem(at, fmt.Sprintf("%d copies of %s: a service has 0 to 1000", n, name), "")
		}
	}
	hosts := []string{}
	for _, r := range c.f.Routes {
		hosts = append(hosts, r.Host)
	}
	for _, host := range slices.Sorted(maps.Keys(e.Hosts)) {
		at := join(path+".hosts", host)
		switch {
		case host == "*" && (len(c.f.Routes) == 0 || slices.Contains(hosts, "")):
		case !slices.Contains(hosts, host) || host == "":
			c.misplaced(at, fmt.Sprintf("no route has the host %q", host), didYouMean(host, hosts))
		}
		if !isHost(string(e.Hosts[host])) {
			c.problem(at, fmt.Sprintf("%q is not a host name", e.Hosts[host]), "a name like beta.example.com")
		}
	}
}

// gate is a gate as a server has it. What it looks at is the one key that says so.
func (c *checker) gate(path string, g gate) semper.Gate {
	out := semper.Gate{
		Name: g.Name, When: semper.GateWhen(g.When), Timeout: g.Timeout, Command: g.Run, Env: g.Env, Report: g.Report, URL: g.HTTP, Expect: g.Expect,
		For: g.Soak, Approvers: g.Approve, Expires: g.Expires,
	}
	kinds := []struct {
		key  string
		kind semper.GateKind
		with []string // keys that only it has
	}{
		{"run", semper.GateCommand, []string{"env", "report"}},
		{"http", semper.GateHTTP, []string{"expect"}},
		{"soak", semper.GateSoak, nil},
		{"approve", semper.GateApproval, []string{"expires"}},
		{"window", semper.GateWindow, nil},
		{"canary", semper.GateCanary, nil},
		{"shadow", semper.GateShadow, nil},
	}
	first := ""
	for _, k := range kinds {
		if !c.given(join(path, k.key)) {
			continue
		}
		if first != "" {
			c.misplaced(join(path, k.key), fmt.Sprintf("the gate looks at two things: %s and %s", first, k.key), "make it two gates")
			continue
		}
		first, out.Kind = k.key, k.kind
	}
	for _, k := range kinds {
		for _, key := range k.with {
			if k.key != first && first != "" && c.given(join(path, key)) {
				c.misplaced(join(path, key), fmt.Sprintf("%q is of %s, not of %s", key, k.key, first), "remove it")
			}
		}
	}
	if first != "run" && first != "http" && first != "" && c.given(join(path, "timeout")) {
		c.misplaced(join(path, "timeout"), fmt.Sprintf("\"timeout\" is of run and http, not of %s", first), "remove it")
	}
	if out.Kind == semper.GateWindow {
		w := semper.Window(g.Window)
		out.Window = &w
	}
	return out
}

// overlays are what releases have otherwise, by environment; nil where nothing is.
func (c *checker) overlays() map[string]semper.Overlay {
	var out map[string]semper.Overlay
	for name, e := range c.f.Environments {
		if len(e.Env)+len(e.Scale)+len(e.Hosts) == 0 {
			continue
		}
		o := semper.Overlay{Env: e.Env}
		for svc, n := range e.Scale {
			if o.Scale == nil {
				o.Scale = make(map[string]int, len(e.Scale))
			}
			o.Scale[svc] = int(n)
		}
		for from, to := range e.Hosts {
			if o.Hosts == nil {
				o.Hosts = make(map[string]string, len(e.Hosts))
			}
			o.Hosts[from] = string(to)
		}
		if out == nil {
			out = make(map[string]semper.Overlay)
		}
		out[name] = o
	}
	return out
}
