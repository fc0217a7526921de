package config

import (
	"fmt"
	"path/filepath"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v4"

	"semper"
	"semper/internal/argv"
)

// LoadProcfile reads the Procfile at path: web becomes the web service, with every request routed to
// it, any other name a worker; names are made lower case with dashes. Commands are run by /bin/sh, which sees $PORT. The app
// is named after the directory. lookup is not asked: variables in a Procfile are the shell's. The error is *Errors.
func LoadProcfile(path string, lookup func(string) (string, bool)) (*File, error) {
	data, abs, err := slurp(path)
	if err != nil {
		return nil, err
	}
	return parseProcfile(path, filepath.Dir(abs), data, lookup)
}

func parseProcfile(name, dir string, data []byte, lookup func(string) (string, bool)) (*File, error) {
	r := newReader(name, data, lookup)
	if r.characters(data); len(r.problems) > 0 {
		return nil, sorted(r.problems)
	}
	c := checker{reader: r, dir: dir, f: &fileFormat{Version: 1, App: slug(filepath.Base(dir)), Services: map[string]service{}}}
	r.origins["app"] = Origin{Kind: OriginDefault}
	for i, line := range r.lines {
		c.process(i+1, strings.TrimPrefix(line, "\ufeff"))
	}
	switch {
	case len(c.f.Services) == 0 && len(r.problems) == 0:
		r.addAt(1, 1, 1, "services", "there is no process in this Procfile", `add one: "web: COMMAND"`)
	case c.f.App == "":
		r.addAt(1, 1, 1, "app", fmt.Sprintf("no name for the app can be made of the directory %s", dir), "write a semper.yaml with `semper init`")
	}
	if c.check(); len(r.problems) > 0 {
		return nil, sorted(r.problems)
	}
	return c.build(), nil
}

// process reads one line, "name: command".
func (c *checker) process(number int, line string) {
	trimmed := strings.TrimSpace(line)
	if trimmed == "" || trimmed[0] == '#' {
		return
	}
	indent := utf8.RuneCountInString(line[:strings.Index(line, trimmed)])
	title, text, ok := strings.Cut(trimmed, ":")
	title = strings.TrimRight(title, " \t")
	width := utf8.RuneCountInString(title)
	fail := func(message, hint string) { c.addAt(number, indent+1, width, "services."+title, message, hint) }
	name := slug(title)
	path := "services." + name
	release := name == "release" // it runs before each release, and nothing waits for it
	if release {
		path = "migrate"
	}
	switch {
	case !ok:
		fail("this line is not of the form name: command", "begin a comment with #")
		return
	case name == "" || strings.Trim(strings.ToLower(title), "abcdefghijklmnopqrstuvwxyz0123456789-_") != "":
		fail(fmt.Sprintf("%q is not a valid name of a process", title), "letters, digits, dashes and underscores")
		return
	case c.given(path):
		fail(fmt.Sprintf("process %q is given twice", name), fmt.Sprintf("the first is in line %d", c.key(path).Line))
		return
	}
	argv, err := argv.Exec(text)
	if err != nil {
		fail(err.Error(), "")
	}
	s := service{Type: string(semper.Worker), Command: argv}
	if name == "web" {
		s.Type = string(semper.Web)
	}
	if release {
		c.f.Migrate = migrateFormat{Command: argv, Hold: string(semper.HoldNone)}
	} else {
		c.f.Services[name] = s
	}
	key := &yaml.Node{Kind: yaml.ScalarNode, Value: title, Line: number, Column: indent + 1}
	value := &yaml.Node{Kind: yaml.ScalarNode, Value: strings.TrimSpace(text), Line: number, Column: indent + width + 2}
	c.places[path] = place{key, value}
	c.origins[path+".command"] = Origin{Kind: OriginFile, File: c.name, Line: number}
}
