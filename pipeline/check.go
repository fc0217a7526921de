package pipeline

import (
	"fmt"
	"net/url"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"semper"
	"semper/internal/nearest"
	"semper/pipeline/window"
)

// A Problem is something wrong with a pipeline, and where. Environment, Gate and Key are from the outside to the inside; those behind the
// place are empty.
type Problem struct {
	Webhook     int // index; -1: not in a webhook
	Environment string
	Gate        int    // index in its stage; -1: not in a gate
	Key         string // of the stage or the gate, as it is written: "after", "requires"
	Message     string
	Hint        string
}

func (p Problem) String() string {
	at := "pipeline"
	switch {
	case p.Webhook >= 0:
		at = fmt.Sprintf("webhooks[%d]", p.Webhook)
	case p.Environment != "":
		at = "environments." + p.Environment
		if p.Gate >= 0 {
			at += fmt.Sprintf(".gates[%d]", p.Gate)
		}
	}
	if p.Key != "" {
		at += "." + p.Key
	}
	return at + ": " + p.Message
}

// Bounds of a pipeline.
const (
	maxStages   = 32
	maxGates    = 64
	maxWebhooks = 16
)

// Defaults of gates.
const (
	CommandTimeout = 10 * time.Minute
	HTTPTimeout    = time.Minute
)

var namePattern = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?$`) })

// Complete fills in what a pipeline leaves to its defaults, checks it, and has requirements say which environment they mean. What it returns is Complete already.
//
// An environment comes after the one that is written before it. A gate is named after its kind ("tests" for a command). Commands,
// HTTP and verdicts are of what is live; soak, approval and window stand before. An environment requires every gate of what
// is live of the environment it comes after, and every gate before itself but windows.
func Complete(p semper.Pipeline) (semper.Pipeline, []Problem) {
	p.Stages = slices.Clone(p.Stages)
	c := &checker{p: &p}
	if len(p.Stages) > maxStages || len(p.Webhooks) > maxWebhooks {
		c.add(Problem{Webhook: -1, Gate: -1, Message: fmt.Sprintf("%d environments and %d webhooks: there may be %d and %d", len(p.Stages), len(p.Webhooks), maxStages, maxWebhooks)})
		return p, c.problems
	}
	for i := range p.Stages {
		s := &p.Stages[i]
		s.Gates, s.Requires = slices.Clone(s.Gates), slices.Clone(s.Requires)
		c.stage(i, s)
	}
	c.order()
	if len(c.problems) == 0 {
		for i := range p.Stages {
			c.requires(&p.Stages[i])
		}
	}
	for i, w := range p.Webhooks {
		c.webhook(i, w)
	}
	return p, c.problems
}

type checker struct {
	p        *semper.Pipeline
	problems []Problem
}

func (c *checker) add(p Problem) { c.problems = append(c.problems, p) }

func (c *checker) names() []string {
	out := make([]string, len(c.p.Stages))
	for i, s := range c.p.Stages {
		out[i] = s.Environment
	}
	return out
}

func (c *checker) stage(i int, s *semper.Stage) {
	wrong := func(key, message, hint string) {
		c.add(Problem{Webhook: -1, Environment: s.Environment, Gate: -1, Key: key, Message: message, Hint: hint})
	}
	if !namePattern().MatchString(s.Environment) {
		wrong("", fmt.Sprintf("%q is not a name of an environment", s.Environment), "lower-case letters, digits and dashes, at most 40, a letter or digit at both ends")
	}
	if slices.Index(c.names(), s.Environment) != i {
		wrong("", fmt.Sprintf("environment %q is there twice", s.Environment), "")
	}
	switch s.Concurrency {
	case "":
		s.Concurrency = semper.Supersede
	case semper.Supersede, semper.Queue:
	default:
		wrong("concurrency", fmt.Sprintf("%q is no concurrency", s.Concurrency), "write supersede or queue")
	}
	if s.After == "" && i > 0 {
		s.After = c.p.Stages[i-1].Environment
	}
	if s.After != "" && !slices.Contains(c.names(), s.After) {
		wrong("after", fmt.Sprintf("there is no environment %q", s.After), meant(s.After, c.names()))
	}
	if len(s.Gates) > maxGates {
		wrong("gates", fmt.Sprintf("%d gates: there may be %d", len(s.Gates), maxGates), "")
		return
	}
	seen := map[string]int{}
	for j := range s.Gates {
		g := &s.Gates[j]
		c.gate(s, j, g)
		if first, twice := seen[g.Name]; twice {
			c.add(Problem{Webhook: -1, Environment: s.Environment, Gate: j, Key: "name", Message: fmt.Sprintf("gate %d is called %q too", first+1, g.Name), Hint: `give them names: "name: …"`})
		}
		seen[g.Name] = j
	}
}

// order refuses stages that are not in the order of the way: each stands behind the one it comes after. A circle cannot be written otherwise.
func (c *checker) order() {
	at := map[string]int{}
	for i, s := range c.p.Stages {
		at[s.Environment] = i
	}
	for i, s := range c.p.Stages {
		j, known := at[s.After]
		switch {
		case !known || j < i:
		case c.circle(i):
			c.add(Problem{Webhook: -1, Environment: s.Environment, Gate: -1, Key: "after", Message: fmt.Sprintf("the environments go round in a circle: %s comes after %s", s.Environment, s.After), Hint: "one of them has to be the first"})
			return
		default:
			c.add(Problem{Webhook: -1, Environment: s.Environment, Gate: -1, Key: "after", Message: fmt.Sprintf("%s is written behind %s, after which it comes", s.After, s.Environment), Hint: "write environments in their order"})
		}
	}
	for i, s := range c.p.Stages { // a way, not a tree: one release is on one environment after the other
		if j, known := at[s.After]; i > 0 && known && j < i-1 {
			c.add(Problem{Webhook: -1, Environment: s.Environment, Gate: -1, Key: "after", Message: fmt.Sprintf("%s comes after %s, and %s does too", s.Environment, s.After, c.p.Stages[j+1].Environment), Hint: "environments are one way: write after which of them it comes"})
		}
	}
}

func (c *checker) circle(from int) bool {
	at := from
	for range c.p.Stages {
		at = slices.Index(c.names(), c.p.Stages[at].After)
		if at < 0 {
			return false
		}
		if at == from {
			return true
		}
	}
	return false
}

// gateNames are what gates are called that have no name of their own.
var gateNames = map[semper.GateKind]string{semper.GateCommand: "tests"}

func (c *checker) gate(s *semper.Stage, j int, g *semper.Gate) {
	wrong := func(key, message, hint string) {
		c.add(Problem{Webhook: -1, Environment: s.Environment, Gate: j, Key: key, Message: message, Hint: hint})
	}
	if g.Name == "" {
		if g.Name = gateNames[g.Kind]; g.Name == "" {
			g.Name = string(g.Kind)
		}
	}
	if g.Kind != "" && !namePattern().MatchString(g.Name) {
		wrong("name", fmt.Sprintf("%q is not a name of a gate", g.Name), "lower-case letters, digits and dashes, at most 40, a letter or digit at both ends")
	}
	c.when(s, g, wrong)
	switch g.Kind {
	case semper.GateCommand:
		defaultTo(&g.Timeout, CommandTimeout)
		if len(g.Command) == 0 || g.Command[0] == "" {
			wrong("run", "there is no command", `write "run: ./smoke.sh"`)
		}
		if g.Report != "" && !filepath.IsLocal(g.Report) {
			wrong("report", fmt.Sprintf("%q is not a path below the directory that the command may write to", g.Report), `write one like "report: junit.xml", and have the command write $SEMPER_SCRATCH/junit.xml`)
		}
	case semper.GateHTTP:
		defaultTo(&g.Timeout, HTTPTimeout)
		if g.Expect == 0 {
			g.Expect = 200
		}
		if why := badURL(g.URL); why != "" {
			wrong("http", fmt.Sprintf("%q %s", g.URL, why), "write one like https://beta.example.com/ready")
		}
		if g.Expect < 100 || g.Expect > 599 {
			wrong("expect", fmt.Sprintf("%d is no status", g.Expect), "100 to 599")
		}
	case semper.GateSoak:
		if g.For <= 0 {
			wrong("soak", "it has to take a time", `write "soak: 30m"`)
		}
		if s.After == "" {
			wrong("soak", fmt.Sprintf("%s is the first environment: the release has run nowhere before", s.Environment), "write it in the environment that comes next")
		}
	case semper.GateApproval:
		if len(g.Approvers) == 0 || slices.Contains(g.Approvers, "") {
			wrong("approve", "nobody may approve", `name users, groups or roles: "approve: [ops]"`)
		}
	case semper.GateWindow:
		c.window(g, wrong)
	case semper.GateCanary, semper.GateShadow:
	default:
		wrong("", "the gate does not say what it looks at", "add run, http, soak, approve, window, canary or shadow")
	}
	if g.Timeout < 0 || g.Expires < 0 || g.Timeout.D() > 24*time.Hour {
		wrong("timeout", "a timeout is up to 24h, and none is below zero", "")
	}
}

func (c *checker) window(g *semper.Gate, wrong func(key, message, hint string)) {
	if g.Window == nil {
		wrong("window", "it is empty", `write "window: {deny: Fri 16:00-Mon 08:00, zone: Europe/Berlin}"`)
		return
	}
	if _, err := window.Parse(*g.Window); err != nil {
		e := err.(*window.Error) //nolint:errorlint,forcetypeassert // Parse says so
		wrong("window."+e.Key, fmt.Sprintf("%q %s", e.Text, e.Why), e.Hint)
	}
}

// when refuses what cannot be seen at the time, and says when where nothing does.
func (c *checker) when(s *semper.Stage, g *semper.Gate, wrong func(key, message, hint string)) {
	only := semper.GateWhen("")
	switch g.Kind {
	case semper.GateSoak, semper.GateApproval, semper.GateWindow:
		only = semper.GateBefore
	case semper.GateCanary, semper.GateShadow:
		only = semper.GateLive
	}
	switch {
	case g.When == "" && only != "":
		g.When = only
	case g.When == "":
		g.When = semper.GateLive
	case g.When != semper.GateBefore && g.When != semper.GateLive:
		wrong("when", fmt.Sprintf("%q is no time", g.When), "write before or live")
	case only != "" && g.When != only:
		wrong("when", fmt.Sprintf("a gate of %s is looked at %s", g.Kind, whenWords(only, s.Environment)), "remove it")
	}
}

func whenWords(w semper.GateWhen, environment string) string {
	if w == semper.GateBefore {
		return "before the release enters " + environment
	}
	return "when the release serves in " + environment
}

// requires says for each requirement which environment it means.
func (c *checker) requires(s *semper.Stage) {
	before, _ := StageOf(*c.p, s.After)
	if s.Requires == nil {
		for _, g := range before.Gates {
			if g.When == semper.GateLive {
				s.Requires = append(s.Requires, before.Environment+"/"+g.Name)
			}
		}
		for _, g := range s.Gates {
			if g.When == semper.GateBefore && g.Kind != semper.GateWindow {
				s.Requires = append(s.Requires, s.Environment+"/"+g.Name)
			}
		}
		return
	}
	for i, name := range s.Requires {
		full, message, hint := c.requirement(*s, name)
		if message != "" {
			c.add(Problem{Webhook: -1, Environment: s.Environment, Gate: -1, Key: fmt.Sprintf("requires[%d]", i), Message: message, Hint: hint})
		}
		s.Requires[i] = full
	}
}

// requirement is the whole name of a gate that is required: its own environment's first, and then those on the way there, the nearest first.
func (c *checker) requirement(s semper.Stage, name string) (full, message, hint string) {
	var known []string
	for at := s; ; {
		for _, g := range at.Gates {
			if at.Environment == s.Environment && g.When == semper.GateLive {
				continue // it is passed only when the release is there
			}
			whole := at.Environment + "/" + g.Name
			if name == whole || name == g.Name {
				if g.Kind == semper.GateWindow {
					return whole, fmt.Sprintf("%q is a window, of which there is no statement", name), "remove it: windows hold in any case"
				}
				return whole, "", ""
			}
			known = append(known, g.Name, whole)
		}
		next, ok := StageOf(*c.p, at.After)
		if !ok {
			break
		}
		at = next
	}
	environment, _, qualified := strings.Cut(name, "/")
	if qualified && !slices.Contains(c.names(), environment) {
		return name, fmt.Sprintf("there is no environment %q", environment), meant(environment, c.names())
	}
	return name, fmt.Sprintf("no gate on the way to %s is called %q", s.Environment, name), meant(name, known)
}

func (c *checker) webhook(i int, w semper.Webhook) {
	wrong := func(key, message, hint string) {
		c.add(Problem{Webhook: i, Gate: -1, Key: key, Message: message, Hint: hint})
	}
	if why := badURL(w.URL); why != "" {
		wrong("url", fmt.Sprintf("%q %s", w.URL, why), "write one like https://hooks.example.com/semper")
	}
	if w.Secret == "" {
		wrong("secret", "it has no secret to sign by", `write "secret: NAME", and semper secret set NAME`)
	}
	for _, kind := range w.Events {
		if kind == "" || strings.Contains(strings.TrimSuffix(kind, "*"), "*") || strings.HasSuffix(kind, "*") && !strings.HasSuffix(kind, ".*") {
			wrong("events", fmt.Sprintf("%q is no kind of event", kind), `write one like "gate.failed", or "gate.*" for all of gates`)
		}
	}
}

func badURL(s string) string {
	u, err := url.Parse(s)
	switch {
	case err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https":
		return "is not a URL of http or https"
	case u.User != nil:
		return "carries a password, which would be in every record"
	case u.Fragment != "":
		return "has a fragment, which is sent to nobody"
	}
	return ""
}

func meant(word string, of []string) string {
	if near := nearest.To(word, of); near != "" {
		return fmt.Sprintf("did you mean %q?", near)
	}
	if len(of) > 0 {
		return "there are: " + strings.Join(of, ", ")
	}
	return ""
}

func defaultTo(d *semper.Duration, v time.Duration) {
	if *d == 0 {
		*d = semper.Duration(v)
	}
}
