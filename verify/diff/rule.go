package diff

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"regexp"
	"slices"
	"strconv"
	"time"
)

// A Rule declares differences that are meant, or that do not matter. All that it says must hold.
type Rule struct {
	Path string `json:"path"`           // a pattern: see [ParsePattern]
	Kind Kind   `json:"kind,omitempty"` // empty: any
	// Endpoint is the route's name or the method and path of requests it is for, in the words of whoever compares. Empty: any.
	Endpoint string `json:"endpoint,omitempty"`
	// Was and Is are regular expressions for the values, as JSON. A value that is not there is null.
	Was string `json:"was,omitempty"`
	Is  string `json:"is,omitempty"`
	// Tolerance is by how much a number may differ, in parts of the first.
	Tolerance float64 `json:"tolerance,omitempty"`
	// RenamedTo is the name under which the same value stands now, beside where it was. It takes the removal and the addition.
	RenamedTo string `json:"renamed_to,omitempty"`
	// Ignore says that such differences do not matter: the rule is not stale when none comes.
	Ignore bool `json:"ignore,omitempty"`
	// Why is for people. Until is when the rule ends; zero: never.
	Why   string    `json:"why,omitempty"`
	Until time.Time `json:"until,omitzero"`
}

type compiled struct {
	Rule
	pattern Pattern
	was, is *regexp.Regexp
}

// compile reads the parts of r.
func (r Rule) compile() (c compiled, err error) {
	c.Rule = r
	if c.pattern, err = ParsePattern(r.Path); err != nil {
		return c, err
	}
	if r.Kind != "" && !slices.Contains(Kinds, r.Kind) {
		return c, fmt.Errorf("kind %q: there are %v", r.Kind, Kinds)
	}
	if r.Tolerance < 0 || math.IsNaN(r.Tolerance) || math.IsInf(r.Tolerance, 0) {
		return c, fmt.Errorf("a tolerance of %v: it is a positive part of the value, like 0.05", r.Tolerance)
	}
	if r.RenamedTo != "" && r.Kind != "" {
		return c, errors.New("renamed_to is a removal and an addition: leave kind out")
	}
	for _, e := range []struct {
		name, text string
		re         **regexp.Regexp
	}{{"was", r.Was, &c.was}, {"is", r.Is, &c.is}} {
		if e.text == "" {
			continue
		}
		if *e.re, err = regexp.Compile(e.text); err != nil {
			return c, fmt.Errorf("%s: %w", e.name, err)
		}
	}
	return c, nil
}

// takes reports whether the rule is for f.
func (c *compiled) takes(endpoint string, now time.Time, f *found) bool {
	return c.RenamedTo == "" && c.applies(endpoint, now) && (c.Kind == "" || c.Kind == f.kind) && c.pattern.Matches(f.path) &&
		matches(c.was, f.was) && matches(c.is, f.is) && (c.Tolerance == 0 || within(c.Tolerance, f))
}

func (c *compiled) applies(endpoint string, now time.Time) bool {
	return (c.Endpoint == "" || c.Endpoint == endpoint) && (c.Until.IsZero() || now.Before(c.Until))
}

// renames reports whether gone and come are one value under two names.
func (c *compiled) renames(endpoint string, now time.Time, gone, come *found) bool {
	n := len(gone.path)
	return c.RenamedTo != "" && gone.kind == Removed && come.kind == Added && c.applies(endpoint, now) && c.pattern.Matches(gone.path) &&
		len(come.path) == n && come.path[n-1] == c.RenamedTo && slices.Equal(come.path[:n-1], gone.path[:n-1]) &&
		asJSON(gone.was) == asJSON(come.is) && matches(c.was, gone.was)
}

func matches(re *regexp.Regexp, v any) bool { return re == nil || re.MatchString(asJSON(v)) }

func asJSON(v any) string {
	if s, ok := v.(raw); ok {
		return string(s)
	}
	b, err := json.Marshal(v)
	if err != nil {
		return ""
	}
	return string(b)
}

func within(tolerance float64, f *found) bool {
	a, ok := f.was.(json.Number)
	b, ok2 := f.is.(json.Number)
	if !ok || !ok2 {
		return false
	}
	x, err := strconv.ParseFloat(string(a), 64)
	y, err2 := strconv.ParseFloat(string(b), 64)
	return err == nil && err2 == nil && math.Abs(y-x) <= tolerance*math.Abs(x)
}
