package recorded

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"

	"semper/verify/diff"
)

// A Comparison says how responses are compared.
type Comparison struct {
	diff.Options
	RulesFile string   // a JSON list of rules; empty: none
	Ignore    []string // paths that do not matter
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
	return diff.New(o)
}

func readRules(path string) (rules []diff.Rule, err error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	if err := d.Decode(&rules); err != nil {
		at := bytes.Count(b[:min(int(d.InputOffset()), len(b))], []byte("\n")) + 1
		return nil, fmt.Errorf("%s:%d: a list of rules: %w", path, at, err)
	}
	return rules, nil
}
