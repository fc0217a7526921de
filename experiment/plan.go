package experiment

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"semper"
	"semper/edge/route"
	"semper/experiment/design"
	"semper/internal/strict"
)

// Bounds of a plan.
const (
	MostVariants = 8
	MostMetrics  = 16
	MostSegments = 4
	MostUsers    = 1_000_000
)

// Defaults of a plan.
const (
	DefaultAlpha   = .05
	DefaultAtLeast = 7 * 24 * time.Hour
	DefaultUsers   = 100_000
)

// ByUser is what By says for the signed cookie that the edge gives.
const ByUser = "user"

// A Fault is something wrong with a plan, at a key of its file: "variants[1].share".
type Fault struct{ Key, Message, Hint string }

// Complete is p with the defaults where it says nothing, and all that is wrong with it.
func Complete(p design.Plan) (design.Plan, []Fault) {
	p.Variants, p.Metrics, p.Segments = slices.Clone(p.Variants), slices.Clone(p.Metrics), slices.Clone(p.Segments)
	if p.By == "" {
		p.By = ByUser
	}
	if p.Alpha == 0 {
		p.Alpha = DefaultAlpha
	}
	if p.AtLeast == 0 {
		p.AtLeast = semper.Duration(DefaultAtLeast)
	}
	if p.Users == 0 {
		p.Users = DefaultUsers
	}
	c := faults{}
	c.name("name", p.Name)
	if p.By != ByUser {
		var k route.Key
		err := k.UnmarshalText([]byte(p.By))
		c.need(err == nil && p.By != "host" && p.By != "path", "by", fmt.Sprintf("%q does not tell one user from another", p.By), "user for a signed cookie that the edge gives, or header:NAME, cookie:NAME, query:NAME, client")
	}
	c.need(p.Alpha > 0 && p.Alpha < .5, "alpha", fmt.Sprintf("%g is no probability of being wrong that one can live with", p.Alpha), "between 0 and 0.5: 0.05")
	c.need(p.AtLeast >= 0, "at_least", "a time cannot be negative", "")
	c.need(p.Users > 0 && p.Users <= MostUsers, "users", fmt.Sprintf("%d users cannot be followed", p.Users), fmt.Sprintf("1 to %d", MostUsers))
	c.variants(p.Variants)
	c.metrics(p.Metrics)
	c.need(len(p.Segments) <= MostSegments, "segments", fmt.Sprintf("%d are too many", len(p.Segments)), fmt.Sprintf("at most %d", MostSegments))
	for i, s := range p.Segments {
		c.name(fmt.Sprintf("segments[%d]", i), s)
		c.need(!slices.Contains(p.Segments[:i], s), fmt.Sprintf("segments[%d]", i), s+" is named twice", "")
	}
	return p, c
}

// Read reads a plan from a file in YAML or JSON, that is shown as name. The error is [strict.Problems].
func Read(name string, data []byte) (design.Plan, error) {
	var p design.Plan
	d := strict.Read(name, data, &p, strict.Options{})
	p, wrong := Complete(p)
	for _, f := range wrong {
		if !d.Wrong(f.Key) { // of what was not read nothing more is known
			d.Problem(f.Key, f.Message, f.Hint)
		}
	}
	return p, d.Err()
}

type faults []Fault

func (c *faults) need(ok bool, key, message, hint string) {
	if !ok {
		*c = append(*c, Fault{key, message, hint})
	}
}

// name wants what stands in a header field, a path and a command as it is.
func (c *faults) name(key, name string) {
	const allowed = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_"
	ok := name != "" && len(name) <= 64 && strings.Trim(name, allowed) == ""
	c.need(ok, key, fmt.Sprintf("%q is no name", name), "1 to 64 letters, digits, - and _")
}

func (c *faults) variants(all []design.Variant) {
	c.need(len(all) >= 2 && len(all) <= MostVariants, "variants", fmt.Sprintf("there are %d", len(all)), fmt.Sprintf("2 to %d: the first is what the others are compared with", MostVariants))
	sum := 0.0
	for i, v := range all {
		key := fmt.Sprintf("variants[%d]", i)
		c.name(key+".name", v.Name)
		c.need(v.Share > 0 && v.Share <= 1, key+".share", fmt.Sprintf("%g is no part of all users", v.Share), "above 0 and up to 1: 0.5")
		c.need(!slices.ContainsFunc(all[:i], func(o design.Variant) bool { return o.Name == v.Name }), key+".name", v.Name+" is there twice", "")
		c.need(v.Release == "" || v.Release.Number() > 0, key+".release", fmt.Sprintf("%q is no release", v.Release), "r and its number, as semper release list has it: r18")
		sum += v.Share
	}
	c.need(math.IsNaN(sum) || sum <= 1+1e-9, "variants", fmt.Sprintf("the shares add up to %g", sum), "at most 1; what they leave takes no part")
}

func (c *faults) metrics(all []design.Metric) {
	c.need(len(all) >= 1 && len(all) <= MostMetrics, "metrics", fmt.Sprintf("there are %d", len(all)), fmt.Sprintf("1 to %d", MostMetrics))
	primary := false
	for i := range all {
		m, key := &all[i], fmt.Sprintf("metrics[%d]", i)
		if m.Kind == "" {
			m.Kind = design.MetricSum
		}
		if m.Role == "" {
			m.Role = design.RoleSecondary
		}
		if m.Weight == 0 {
			m.Weight = 1
		}
		primary = primary || m.Role == design.RolePrimary
		c.name(key+".name", m.Name)
		c.need(!slices.ContainsFunc(all[:i], func(o design.Metric) bool { return o.Name == m.Name }), key+".name", m.Name+" is there twice", "")
		c.need(m.Kind == design.MetricSum || m.Kind == design.MetricCount || m.Kind == design.MetricConversion, key+".kind", fmt.Sprintf("%q is no kind", m.Kind), "sum, count or conversion")
		c.need(m.Role == design.RolePrimary || m.Role == design.RoleGuardrail || m.Role == design.RoleSecondary, key+".role", fmt.Sprintf("%q is no role", m.Role), "primary, guardrail or secondary")
		c.need(m.Weight > 0 && !math.IsInf(m.Weight, 1), key+".weight", fmt.Sprintf("%g is no weight", m.Weight), "above 0")
		c.need(m.Margin >= 0 && m.Margin < 1, key+".margin", fmt.Sprintf("%g is no part of a mean", m.Margin), "0 up to 1: 0.02 is 2 %")
		c.need(m.Within >= 0, key+".within", "a time cannot be negative", "")
	}
	c.need(primary || len(all) == 0, "metrics", "none is primary", "role: primary on the one that decides")
}
