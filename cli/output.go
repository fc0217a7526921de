package cli

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"semper/cli/draw"
	"semper/cli/progress"

	"go.yaml.in/yaml/v4"
)

// paint decides about colour for a stream: the flag, then NO_COLOR, CLICOLOR_FORCE, TERM, then whether it is a terminal.
func (c *command) paint(stream io.Writer) draw.Paint {
	switch c.color {
	case "always":
		return true
	case "never":
		return false
	}
	if c.env.Getenv("NO_COLOR") != "" {
		return false
	}
	if force := c.env.Getenv("CLICOLOR_FORCE"); force != "" && force != "0" {
		return true
	}
	return draw.Paint(c.env.Getenv("TERM") != "dumb" && c.env.Getenv("CLICOLOR") != "0" && c.env.IsTTY(stream))
}

// print writes one value as asked for. name gives what -o name prints; table what a person reads.
func (c *command) print(value any, name []string, table func(io.Writer, draw.Paint)) error {
	var b bytes.Buffer
	switch c.output {
	case "json":
		e := json.NewEncoder(&b)
		e.SetEscapeHTML(false)
		e.SetIndent("", "  ")
		if err := e.Encode(value); err != nil {
			return err
		}
	case "jsonl":
		if err := line(&b, value); err != nil {
			return err
		}
	case "yaml":
		if err := toYAML(&b, value); err != nil {
			return err
		}
	case "name":
		for _, n := range name {
			fmt.Fprintln(&b, n)
		}
	default:
		table(&b, c.paint(c.env.Stdout))
	}
	_, err := c.env.Stdout.Write(b.Bytes())
	return err
}

// printList is print for several values: an array in JSON, one line each in JSON lines.
func printList[T any](c *command, list []T, name func(T) string, table func(io.Writer, draw.Paint)) error {
	if list == nil {
		list = []T{}
	}
	var names []string
	for _, v := range list {
		names = append(names, name(v))
	}
	if c.output != "jsonl" {
		return c.print(list, names, table)
	}
	for _, v := range list {
		if err := line(c.env.Stdout, v); err != nil {
			return err
		}
	}
	return nil
}

// line writes a value as one line of JSON.
func line(w io.Writer, value any) error {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	return e.Encode(value)
}

// toYAML writes the YAML of a value's JSON, so that both have the same keys in the same order.
func toYAML(w io.Writer, value any) error {
	b, err := json.Marshal(value)
	if err != nil {
		return err
	}
	var n yaml.Node
	if err := yaml.Unmarshal(b, &n); err != nil {
		return err
	}
	block(&n)
	b, err = yaml.Dump(&n, yaml.WithIndent(2))
	if err != nil {
		return err
	}
	_, err = w.Write(b)
	return err
}

// block undoes the flow style and the quotes that JSON has.
func block(n *yaml.Node) {
	if n.Kind == yaml.ScalarNode || len(n.Content) > 0 {
		n.Style = 0
	}
	for _, child := range n.Content {
		block(child)
	}
}

// newProgress chooses by the flag, and by what stderr is.
func (c *command) newProgress() progress.Progress {
	mode := c.progress
	if mode == "auto" {
		mode = "plain"
		if c.env.IsTTY(c.env.Stderr) && c.env.Getenv("TERM") != "dumb" && c.env.Getenv("CI") == "" {
			mode = "tty"
		}
	}
	return progress.New(progress.Options{
		Mode: mode, Stdout: c.env.Stdout, Stderr: c.env.Stderr, Size: c.env.Size, Now: c.env.Now, Paint: c.paint(c.env.Stderr),
	})
}
