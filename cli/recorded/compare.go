package recorded

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"semper/internal/jsonwords"
	"semper/verify/diff"
)

// A Comparison says how responses are compared.
type Comparison struct {
	diff.Options
	RulesFile string   // a JSON list of rules; empty: none
	Ignore    []string // paths that do not matter
	// Descriptors is a file with a descriptor set; empty: bodies of Protocol Buffers are bytes. Messages are ENDPOINT=MESSAGE.
	Descriptors string
	Messages    []string
}

// Comparer is one that compares so.
func (c *Comparison) Comparer() (*diff.Comparer, error) {
	o := c.Options
	for _, path := range c.Ignore {
		o.Rules = append(o.Rules, diff.Rule{Path: path, Ignore: true})
	}
	if c.RulesFile != "" {
		more, err := readRules(c.RulesFile)
		if err != nil {
			return nil, err
		}
		o.Rules = append(o.Rules, more...)
	}
	if c.Descriptors != "" || len(c.Messages) > 0 {
		d, err := c.schema()
		if err != nil {
			return nil, err
		}
		o.Proto = d
	}
	return diff.New(o)
}

func (c *Comparison) schema() (*diff.Descriptors, error) {
	if c.Descriptors == "" {
		return nil, errors.New("--message says what a response is by --descriptors FILE, which is missing")
	}
	messages := make(map[string]string, len(c.Messages))
	for _, s := range c.Messages {
		endpoint, name, ok := strings.Cut(s, "=")
		if !ok || endpoint == "" || name == "" {
			return nil, fmt.Errorf("--message %q: write it as ENDPOINT=MESSAGE, like 'GET /cart=shop.Cart'", s)
		}
		messages[endpoint] = name
	}
	set, err := os.ReadFile(c.Descriptors)
	if err != nil {
		return nil, err
	}
	d, err := diff.NewDescriptors(set, messages)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", c.Descriptors, err)
	}
	return d, nil
}

func readRules(path string) (rules []diff.Rule, err error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	if line, err := jsonwords.Decode(b, &rules); err != nil {
		return nil, fmt.Errorf("%s:%d: a list of rules: %w", path, line, err)
	}
	return rules, nil
}
