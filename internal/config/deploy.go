package config

import (
	"encoding/json"
	"fmt"
	"os"
	"reflect"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v4"

	"semper"
	"semper/edge/route"
	"semper/edge/words"
	"semper/rollout"
	"semper/verify/diff"
)

type deployFormat struct {
	Baseline string       `yaml:"baseline" jsonschema:"enum=fresh,enum=stable,default=fresh" doc:"What a release on trial is compared with: fresh starts as many new instances of the current release, as young and cold as its own; stable is those that serve anyway. Where fresh is not possible it is stable, and the verdict says so."`
	By       string       `yaml:"by" jsonschema:"example=cookie:session" doc:"What keeps a client on its side: client (its address), header:NAME, cookie:NAME, query:NAME, or user, a signed cookie that the edge gives. Each request by chance when left out."`
	Steps    []stepFormat `yaml:"steps" jsonschema:"example=[{traffic: 5%}]" doc:"The way of a release to all traffic. Each step is left when the release is found no worse than its baseline; one that is found worse is returned. Workers, and services that the current release does not have, wait for the end of the steps."`
	Judge    judgeFormat  `yaml:"judge" doc:"How a release on trial is judged."`
	Shadow   shadowFormat `yaml:"shadow" doc:"How requests are copied, and how the answers are compared."`
	words.Testers
}

// stepFormat is one step; the word pause stands for one as well.
type stepFormat struct {
	Shadow   share           `yaml:"shadow" jsonschema:"example=10%" doc:"Send copies of this part of the requests to the new release. Clients never get its answers. Such steps come before those of traffic."`
	Traffic  share           `yaml:"traffic" jsonschema:"example=5%" doc:"Send this part of the requests to the new release, from 0.1% to 100%; it has to grow from step to step. A fresh baseline gets as much, or what is left above 50%."`
	For      semper.Duration `yaml:"for" jsonschema:"example=10m" doc:"How long the step takes at least."`
	Requests int             `yaml:"requests" jsonschema:"minimum=1,maximum=1000000000,example=1000" doc:"How many requests each side has to have had at least."`
}

type judgeFormat struct {
	Alpha    float64         `yaml:"alpha" jsonschema:"exclusiveMinimum=0,maximum=0.5,default=0.01" doc:"The probability, at most, of ever returning a release that is as good, over all steps together."`
	Errors   errorsFormat    `yaml:"errors" doc:"Which errors are too many."`
	Latency  marginFormat    `yaml:"latency" doc:"Which latency is too long."`
	Memory   marginFormat    `yaml:"memory" doc:"How much memory is too much."`
	WarmUp   semper.Duration `yaml:"warm_up" jsonschema:"example=30s" doc:"At the beginning nothing counts for so long, of neither side."`
	Interval semper.Duration `yaml:"interval" jsonschema:"default=1s" doc:"How often the judge looks."`
	Metrics  []meanFormat    `yaml:"metrics" jsonschema:"example=[{name: revenue}]" doc:"What instances push of what users do, with POST /v1/experiments/metrics. A metric of which nothing comes holds the rollout: it is neither passed nor returned."`
}

type meanFormat struct {
	Name   string `yaml:"name" jsonschema:"required,example=revenue" doc:"What values are pushed as."`
	Less   bool   `yaml:"less_is_better" jsonschema:"enum=true" doc:"Less of it is better: a cost."`
	Margin share  `yaml:"margin" jsonschema:"example=2%" doc:"Which part of the baseline's mean may be lost. None when left out."`
}

type errorsFormat struct {
	Margin float64 `yaml:"margin" jsonschema:"minimum=1,maximum=100,example=1.25" doc:"How many times the baseline's share of errors is still as good."`
	Floor  share   `yaml:"floor" jsonschema:"example=0.1%" doc:"Below this share of the requests, errors are as good whatever the baseline has."`
	Bursts bool    `yaml:"bursts" jsonschema:"enum=true" doc:"Errors come many at a time for one reason that may hit either side, like a disk that is full for a second. Then a release is returned for them only when they come in many slices of time as well: later, and not for a burst alone."`
}

type marginFormat struct {
	Margin float64 `yaml:"margin" jsonschema:"minimum=1,maximum=100,example=1.1" doc:"How many times the baseline's is still as good."`
}

type shadowFormat struct {
	Concurrency int             `yaml:"concurrency" jsonschema:"minimum=1,maximum=100000,default=32" doc:"How many copies an edge has on their way at once."`
	Bytes       size            `yaml:"bytes" jsonschema:"default=64MiB" doc:"How much an edge keeps of requests and answers for it."`
	Body        size            `yaml:"body" jsonschema:"default=1MiB" doc:"The largest body that is copied or compared; others are counted and skipped."`
	Timeout     semper.Duration `yaml:"timeout" jsonschema:"default=10s" doc:"How long a copy may take."`
	Again       share           `yaml:"again" jsonschema:"default=100%" doc:"Which part of the copies the current release gets a second time, to see what differs by itself."`
	Headers     []string        `yaml:"headers" jsonschema:"example=[content-type\\, location]" doc:"The header fields of answers that are compared."`
	Mask        []string        `yaml:"mask" jsonschema:"example=[password]" doc:"Names whose values are never shown or stored, besides those that always are not."`
	Protobuf    protobufFormat  `yaml:"protobuf" doc:"What answers in Protocol Buffers hold, so that they are compared by field. Without it they are compared by their bytes."`
	Ignore      []string        `yaml:"ignore" jsonschema:"example=[body.**.updated_at]" doc:"Paths at which a difference does not matter, as semper verify diff has them."`
	Expect      []expectFormat  `yaml:"expect" doc:"Differences that are meant. One that never comes is reported."`
}

type protobufFormat struct {
	Descriptors string            `yaml:"descriptors" jsonschema:"required,example=shop.binpb" doc:"A descriptor set: what protoc --include_imports --descriptor_set_out=shop.binpb writes, or buf build -o shop.binpb. It is read when the release is made. gRPC methods are found in it by their path."`
	Messages    map[string]string `yaml:"messages" doc:"Messages by endpoint, like GET /cart: shop.Cart, for answers that are no gRPC and whose Content-Type does not name their message."`
}

type expectFormat struct {
	Path      string  `yaml:"path" jsonschema:"required,example=body.price" doc:"Where: a path, with * for one name and ** for any."`
	Kind      string  `yaml:"kind" jsonschema:"example=added" doc:"Which kind of difference; any when left out."`
	Endpoint  string  `yaml:"endpoint" jsonschema:"example=GET /cart" doc:"Of which route, or method and path; any when left out."`
	Was       string  `yaml:"was" doc:"Regular expression for the old value, as JSON."`
	Is        string  `yaml:"is" doc:"Regular expression for the new value, as JSON."`
	Tolerance float64 `yaml:"tolerance" jsonschema:"exclusiveMinimum=0,maximum=1000,example=0.05" doc:"By how much a number may differ, in parts of the old one."`
	RenamedTo string  `yaml:"renamed_to" jsonschema:"example=total" doc:"The name under which the same value stands now."`
	Why       string  `yaml:"why" doc:"Why it is meant, for people."`
	Until     string  `yaml:"until" jsonschema:"example=2027-01-31" doc:"The day on which it is meant no more, or a time as in RFC 3339."`
}

// share is a part of the requests, from 0 to 1, written "2.5%".
type share float64

// sharePattern is how shares are written.
const sharePattern = `^[0-9]+(\.[0-9]+)? ?%$`

func (r *reader) share(n *yaml.Node, p *share, path string) {
	s, ok := r.scalar(n, path, `a share like "5%"`)
	if !ok {
		return
	}
	number, percent := strings.CutSuffix(s, "%")
	number = strings.TrimSuffix(number, " ")
	x, err := strconv.ParseFloat(number, 64)
	switch {
	case err != nil || !isDecimal(number) || strings.HasPrefix(number, "+"):
		r.add(n, path, fmt.Sprintf("%q is not a share", s), `write it in percent, like "5%"`)
	case !percent && x > 0 && x < 1:
		r.add(n, path, fmt.Sprintf("%q has no %%", s), fmt.Sprintf("write %q for that part of all, or %q", strconv.FormatFloat(x*100, 'g', 6, 64)+"%", s+"%"))
	case !percent:
		r.add(n, path, fmt.Sprintf("%q has no %%", s), fmt.Sprintf("write %q", s+"%"))
	case x == 0 || x > 100:
		r.add(n, path, fmt.Sprintf("%s is %s", last(path), s), "it has to be more than 0% and at most 100%")
	case x/100 < rollout.MinShare && strings.Contains(path, ".steps["):
		r.add(n, path, fmt.Sprintf("%s is %s", last(path), s), "it has to be from 0.1% to 100%")
	default:
		*p = share(x / 100)
	}
}

// step reads a step: the word pause, or keys.
func (r *reader) step(n *yaml.Node, p *stepFormat, path string) {
	if n.Kind != yaml.ScalarNode || isNull(n) {
		r.structure(n, reflect.ValueOf(p).Elem(), path)
		return
	}
	s, ok := r.scalar(n, path, `pause, or keys like "traffic: 5%"`)
	if ok && s != "pause" {
		r.add(n, path, fmt.Sprintf("%q is not a step", s), `write pause, or keys like {traffic: 5%, for: 10m}`)
	}
}

// deploy looks at how a release earns its traffic.
func (c *checker) deploy() {
	d := &c.f.Deploy
	if !c.given("deploy") {
		return
	}
	for i := range d.Steps {
		path := fmt.Sprintf("deploy.steps[%d]", i)
		shadow, traffic := c.given(path+".shadow"), c.given(path+".traffic")
		switch {
		case shadow && traffic:
			c.misplaced(path+".traffic", "the step does two things: shadow and traffic", "make two steps of it")
		case !shadow && !traffic && c.at(path).Kind != yaml.ScalarNode && !c.hasProblem(path):
			c.problem(path, "the step does nothing", "add shadow or traffic, or write pause alone")
		}
	}
	if by := new(route.Key); d.By != "" && d.By != "user" {
		if err := by.UnmarshalText([]byte(d.By)); err != nil || d.By == "host" || d.By == "path" {
			c.problem("deploy.by", fmt.Sprintf("%q does not tell one client from another", d.By), "it is client, user, header:NAME, cookie:NAME or query:NAME")
		}
	}
	source := words.Source{Doc: c.words}
	for i := range d.Testers.Testers {
		path := fmt.Sprintf("deploy.testers[%d]", i)
		if len(source.Tester(path, &d.Testers.Testers[i])) == 0 && !c.hasProblem(path) {
			c.words.Problem(path, "a tester without a condition would be everybody", "say header, cookie or query")
		}
	}
	c.expected(d.Shadow)
	c.protobuf()
	if c.hasProblem("deploy") {
		return
	}
	for _, f := range rollout.Check(semper.Spec{Services: c.kinds(), Deploy: c.buildDeploy()}) {
		if f.Key == "deploy" {
			c.misplaced(f.Key, f.Message, f.Hint)
			continue
		}
		c.problem(f.Key, f.Message, f.Hint)
	}
}

// kinds are the services as far as a deploy looks at them.
func (c *checker) kinds() map[string]semper.Service {
	out := make(map[string]semper.Service)
	for _, name := range c.services() {
		if out[name] = (semper.Service{Type: semper.Web}); !c.f.Services[name].isWeb() {
			if out[name] = (semper.Service{Type: semper.Worker}); c.queued("services." + name) {
				out[name] = semper.Service{Type: semper.Worker, Jobs: c.f.Services[name].Jobs.Build()}
			}
		}
	}
	return out
}

// expected looks at the rules, each for itself so that it is told where it stands.
func (c *checker) expected(s shadowFormat) {
	for i, path := range s.Ignore {
		if _, err := diff.ParsePattern(path); err != nil {
			c.problem(fmt.Sprintf("deploy.shadow.ignore[%d]", i), err.Error(), "")
		}
	}
	for i, e := range s.Expect {
		at := fmt.Sprintf("deploy.shadow.expect[%d]", i)
		if c.hasProblem(at) {
			continue
		}
		rule, err := e.rule()
		if err != nil {
			c.problem(at+".until", fmt.Sprintf("%q is neither a day nor a time", e.Until), `write it like "2027-01-31"`)
			continue
		}
		if _, err := diff.New(diff.Options{Rules: []diff.Rule{rule}}); err != nil {
			c.problem(at, strings.TrimPrefix(err.Error(), "rule 1: "), "")
		}
	}
}

// rule is e as the comparison has it; until is the only part that can be wrong by itself.
func (e expectFormat) rule() (diff.Rule, error) {
	out := diff.Rule{
		Path: e.Path, Kind: diff.Kind(e.Kind), Endpoint: e.Endpoint, Was: e.Was, Is: e.Is, Tolerance: e.Tolerance, RenamedTo: e.RenamedTo, Why: e.Why,
	}
	if e.Until == "" {
		return out, nil
	}
	var err error
	if out.Until, err = time.Parse(time.DateOnly, e.Until); err != nil {
		out.Until, err = time.Parse(time.RFC3339, e.Until)
	}
	return out, err
}

// buildDeploy is what the file says of deploys, nil where it says nothing.
func (c *checker) buildDeploy() *semper.Deploy {
	if !c.given("deploy") {
		return nil
	}
	d := c.f.Deploy
	out := &semper.Deploy{
		Baseline: semper.Baseline(d.Baseline), By: d.By,
		Judge: semper.Judge{
			Alpha: d.Judge.Alpha, ErrorMargin: d.Judge.Errors.Margin, ErrorFloor: float64(d.Judge.Errors.Floor), ErrorBursts: d.Judge.Errors.Bursts, LatencyAbove: d.Judge.Latency.Margin,
			MemoryMargin: d.Judge.Memory.Margin, WarmUp: d.Judge.WarmUp, Interval: d.Judge.Interval,
		},
		Shadow: semper.Shadowing{
			Concurrency: d.Shadow.Concurrency, Bytes: int64(d.Shadow.Bytes), Body: int64(d.Shadow.Body), Timeout: d.Shadow.Timeout,
			Again: float64(d.Shadow.Again), Headers: d.Shadow.Headers, Rules: c.terms(),
		},
	}
	if len(d.Testers.Testers) > 0 {
		out.Testers = words.Source{Doc: c.words}.CarryTesters("deploy.testers", d.Testers.Testers)
	}
	for _, m := range d.Judge.Metrics {
		out.Judge.Metrics = append(out.Judge.Metrics, semper.MeanMetric{Name: m.Name, Less: m.Less, Margin: float64(m.Margin)})
	}
	for _, s := range d.Steps {
		step := semper.Step{Kind: semper.StepPause, For: s.For, Requests: int64(s.Requests)}
		switch {
		case s.Shadow > 0:
			step.Kind, step.Share = semper.StepShadow, float64(s.Shadow)
		case s.Traffic > 0:
			step.Kind, step.Share = semper.StepTraffic, float64(s.Traffic)
		}
		out.Steps = append(out.Steps, step)
	}
	return out
}

// maxDescriptors bounds the file of a descriptor set, in bytes.
const maxDescriptors = 8 << 20

// protobuf reads the descriptor set.
func (c *checker) protobuf() {
	p := &c.f.Deploy.Shadow.Protobuf
	const at = "deploy.shadow.protobuf"
	if p.Descriptors == "" || c.hasProblem(at) {
		return
	}
	path := c.absolute(p.Descriptors)
	info, err := os.Stat(path)
	switch {
	case err != nil:
		c.problem(at+".descriptors", fmt.Sprintf("%s cannot be read: %s", p.Descriptors, cause(err)), "write it by protoc --include_imports --descriptor_set_out="+p.Descriptors)
		return
	case !info.Mode().IsRegular() || info.Size() > maxDescriptors:
		c.problem(at+".descriptors", fmt.Sprintf("%s is no file of at most %d MiB", p.Descriptors, maxDescriptors>>20), "is it the right file?")
		return
	}
	set, err := os.ReadFile(path)
	if err != nil {
		c.problem(at+".descriptors", fmt.Sprintf("%s cannot be read: %s", p.Descriptors, cause(err)), "")
		return
	}
	if c.schema, err = diff.NewSchema(set, p.Messages); err != nil {
		c.problem(at+".descriptors", p.Descriptors+": "+err.Error(), "")
	}
}

// terms are what is masked, ignored, expected and known of a comparison, as the spec carries them.
func (c *checker) terms() json.RawMessage {
	s := &c.f.Deploy.Shadow
	out := diff.Terms{Mask: s.Mask, Protobuf: c.schema}
	for _, path := range s.Ignore {
		out.Rules = append(out.Rules, diff.Rule{Path: path, Ignore: true})
	}
	for _, e := range s.Expect {
		if rule, err := e.rule(); err == nil {
			out.Rules = append(out.Rules, rule)
		}
	}
	if out.Mask == nil && out.Rules == nil && out.Protobuf == nil {
		return nil
	}
	b, err := json.Marshal(out)
	if err != nil { // of the program's own types
		return nil
	}
	return b
}
