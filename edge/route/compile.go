package route

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"sync"
)

// An Error is one thing wrong with one rule.
type Error struct {
	Rule   int    // index in what Compile was given
	Name   string // of the rule, if it has one
	Key    string // what of the rule, in the words of a route file: "path", "rewrite.pattern"
	Reason string // what is wrong and what to do
	Other  int    // of a rule that could never win: the index of the one that wins in its place; else -1
}

// Error is "rule 3 (shop): path: …"; rules are counted from 1.
func (e *Error) Error() string {
	name := ""
	if e.Name != "" {
		name = " (" + e.Name + ")"
	}
	return fmt.Sprintf("rule %d%s: %s: %s", e.Rule+1, name, e.Key, e.Reason)
}

// Errors are all that is wrong with a list of rules. It is never empty.
type Errors []*Error

// Error has a line for each.
func (e Errors) Error() string {
	lines := make([]string, len(e))
	for i, one := range e {
		lines[i] = one.Error()
	}
	return strings.Join(lines, "\n")
}

// Compile makes rules ready to be matched against. It copies them, but not what they point to. The error is [Errors].
func Compile(rules []Rule) (*Matcher, error) {
	c := compiler{m: &Matcher{rules: slices.Clone(rules), exact: map[string]*node{}, wild: map[string]*node{}}}
	for i := range c.m.rules {
		c.rule(i, &c.m.rules[i])
	}
	if len(c.problems) > 0 {
		return nil, c.problems
	}
	c.sort()
	return c.m, nil
}

type compiler struct {
	m        *Matcher
	problems Errors
}

func (c *compiler) add(r *Rule, key, format string, args ...any) {
	c.problems = append(c.problems, &Error{Rule: r.index, Name: r.Name, Key: key, Reason: fmt.Sprintf(format, args...), Other: -1})
}

// check notes an error, if there is one.
func (c *compiler) check(r *Rule, key string, err error) {
	if err != nil {
		c.add(r, key, "%v", err)
	}
}

func (c *compiler) rule(i int, r *Rule) {
	r.index = i
	before := len(c.problems)
	e := c.entry(r)
	segments, err := splitPath(r.Match)
	c.check(r, "path", err)
	if !r.Match.Exact {
		r.depth = len(segments)
	}
	c.action(r)
	c.policy(r)
	if len(c.problems) > before {
		return
	}
	if name := r.Match.Queue; name != "" {
		c.queue(r, name)
		return
	}
	hosts := r.Match.Hosts
	if len(hosts) == 0 {
		hosts = []string{""}
	}
	for _, h := range hosts {
		root, err := c.root(h)
		if err != nil {
			c.check(r, "host", err)
			continue
		}
		c.hang(r, root, segments, e, h)
	}
}

// queue makes r the rule of a queue.
func (c *compiler) queue(r *Rule, name string) {
	if c.m.queue == nil {
		c.m.queue = map[string]*Rule{}
	}
	if other := c.m.queue[name]; other != nil {
		c.add(r, "queue", "rule %d is for the same queue, %s", other.index+1, name)
		return
	}
	c.m.queue[name] = r
}

// hang puts a rule where its path ends.
func (c *compiler) hang(r *Rule, n *node, segments []string, e entry, host string) {
	for _, s := range segments {
		child := n.children[s]
		if child == nil {
			if n.children == nil {
				n.children = map[string]*node{}
			}
			child = &node{parent: n}
			n.children[s] = child
		}
		n = child
	}
	to := &n.prefix
	if r.Match.Exact {
		to = &n.exact
	}
	for i := range *to {
		if other := &(*to)[i]; e.isAs(other) {
			c.add(r, "host", "rule %d is for the same requests (host %s): this one could never win; remove one, or add a condition to it", other.rule.index+1, orAny(host))
			c.problems[len(c.problems)-1].Other = other.rule.index
			return
		}
	}
	*to = append(*to, e)
}

func orAny(host string) string {
	if host == "" {
		return "any"
	}
	return host
}

// isAs reports whether e and o ask for the same, in whatever order.
func (e *entry) isAs(o *entry) bool {
	if e.scheme != o.scheme || len(e.tests) != len(o.tests) || !slices.Equal(e.methods, o.methods) {
		return false
	}
	for i := range e.tests {
		if e.tests[i].Condition != o.tests[i].Condition {
			return false
		}
	}
	return true
}

// entry is what r asks for beside host and path.
func (c *compiler) entry(r *Rule) entry {
	e := entry{rule: r}
	switch r.Match.Scheme {
	case "":
	case "http":
		e.scheme = 'h'
	case "https":
		e.scheme = 's'
	default:
		c.add(r, "scheme", "%q is not a scheme: it is http or https", r.Match.Scheme)
	}
	for _, m := range r.Match.Methods {
		switch {
		case !isToken(m):
			c.add(r, "methods", "%q is not a method: letters, as in GET", m)
		case strings.ToUpper(m) != m: // methods are told apart by case, and no lower one is in use
			c.add(r, "methods", "%q is not a method: write %s", m, strings.ToUpper(m))
		}
		e.methods = append(e.methods, m)
	}
	slices.Sort(e.methods)
	e.methods = slices.Compact(e.methods)
	for _, cond := range r.Match.Conditions {
		t, err := cond.ready()
		c.check(r, [...]string{"header", "cookie", "query"}[min(cond.In, InQuery)], err)
		e.tests = append(e.tests, t)
	}
	slices.SortStableFunc(e.tests, func(a, b test) int {
		return cmp.Or(cmp.Compare(a.In, b.In), cmp.Compare(a.Name, b.Name), cmp.Compare(a.Test, b.Test), cmp.Compare(a.Value, b.Value))
	})
	return e
}

// sort brings the entries of every node into the order in which they win.
func (c *compiler) sort() {
	order := func(a, b entry) int { return b.conditions() - a.conditions() }
	var walk func(*node)
	walk = func(n *node) {
		slices.SortStableFunc(n.exact, order)
		slices.SortStableFunc(n.prefix, order)
		for _, child := range n.children {
			walk(child)
		}
	}
	for _, roots := range []map[string]*node{c.m.exact, c.m.wild} {
		for _, n := range roots {
			walk(n)
		}
	}
	if c.m.any != nil {
		walk(c.m.any)
	}
}

// root is where the paths of a host begin.
func (c *compiler) root(host string) (*node, error) {
	if host == "" {
		if c.m.any == nil {
			c.m.any = &node{}
		}
		return c.m.any, nil
	}
	name, wild := strings.CutPrefix(strings.ToLower(host), "*.")
	if err := checkHost(host, name); err != nil {
		return nil, err
	}
	hosts := c.m.exact
	if wild {
		hosts = c.m.wild
	}
	if hosts[name] == nil {
		hosts[name] = &node{}
	}
	return hosts[name], nil
}

var (
	isName = sync.OnceValue(func() *regexp.Regexp {
		return regexp.MustCompile(`^[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?)*$`)
	})
	isAddress = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^\[[0-9a-f:.]+\]$`) })
)

// checkHost looks at name, which is host without a wildcard and in lower case.
func checkHost(host, name string) error {
	switch {
	case strings.Contains(host, "://") || strings.Contains(host, "/"):
		return fmt.Errorf("%q is not a host: only the name, without scheme and path", host)
	case isAddress().MatchString(name):
		return nil
	case strings.Contains(name, ":"):
		return fmt.Errorf("%q is not a host: only the name, without a port", host)
	case strings.Contains(name, "*"):
		return fmt.Errorf("%q is not a host: a wildcard is *. in front of a name, and nothing else", host)
	case len(name) > 253 || !isName().MatchString(name):
		return fmt.Errorf("%q is not a host: a name like shop.example.com, without a dot at its end", host)
	}
	return nil
}

// splitPath is the segments of a rule's path, decoded as those of requests are.
func splitPath(m Match) ([]string, error) {
	path := m.Path
	switch {
	case path == "" && !m.Exact:
		return nil, nil
	case !strings.HasPrefix(path, "/"):
		return nil, fmt.Errorf("%q is not a path: begin it with /", path)
	case strings.ContainsAny(path, "?#*") || strings.ContainsFunc(path, func(r rune) bool { return r <= ' ' || r == 0x7f }):
		return nil, fmt.Errorf("%q is not a path: leave out ?, #, * and spaces; a prefix is for everything below", path)
	}
	if !m.Exact {
		path = strings.TrimRight(path, "/")
	}
	if path == "" {
		return nil, nil
	}
	segments := strings.Split(path[1:], "/")
	for i, s := range segments {
		d, err := decodeSegment(s)
		if err != nil {
			return nil, fmt.Errorf("%q is not a path: %w", m.Path, err)
		}
		segments[i] = d
	}
	return segments, nil
}

func decodeSegment(s string) (string, error) {
	if s == "." || s == ".." {
		return "", fmt.Errorf("no request has %q as a segment: leave it out", s)
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		c := s[i]
		switch c {
		case '%':
			d, ok := unescape(s, i)
			if !ok {
				return "", fmt.Errorf("%% begins no encoding at %q: write %%25 for the character itself", s[i:])
			}
			if d == 0 || d == '\\' {
				return "", fmt.Errorf("no request has %s in it: leave it out", s[i:i+3])
			}
			c = hideSlash(d)
			i += 2
		case '\\':
			return "", fmt.Errorf("no request has a backslash in it: leave it out")
		}
		b.WriteByte(c)
	}
	if b.Len() > maxSegment {
		return "", fmt.Errorf("a segment has %d bytes: at most %d can be matched", b.Len(), maxSegment)
	}
	return b.String(), nil
}
