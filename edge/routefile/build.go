package routefile

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"semper/edge/route"
	"semper/edge/words"
	"semper/internal/strict"
)

// A reader makes a [File] of what was read, and finds what no single key can tell.
type reader struct {
	words.Source
	f   *format
	dir string // absolute, of the file
}

// build is the file; it is worth something only if there are no problems.
func (r *reader) build() *File {
	f := r.f
	file := &File{Listeners: f.Listeners, Certificates: f.Certificates, StickyKeys: f.StickyKeys, Log: f.Log, Metrics: f.Metrics, Pools: f.Pools}
	for _, n := range f.Trusted {
		file.Trusted = append(file.Trusted, n.Prefix)
	}
	r.listeners()
	r.certificates()
	r.stickyKeys(&file.StickyKeys)
	for _, name := range slices.Sorted(maps.Keys(f.Pools)) {
		r.pool(strict.Join("pools", name), name, f.Pools[name])
	}
	if f.Log.Access != "" && f.Log.Access != "stdout" && f.Log.Access != "stderr" {
		file.Log.Access = r.absolute(f.Log.Access)
	}
	if r.Given("routes") && len(f.Routes) == 0 && !r.Wrong("routes") {
		r.Misplaced("routes", "there is no route", `add one: "- {to: app}"`)
	}
	var rules []route.Rule
	for i := range f.Routes {
		rules = append(rules, r.rule(i, &f.Routes[i]))
	}
	r.pages("defaults", f.Defaults.ErrorPages)
	var err error
	if file.Matcher, err = route.Compile(rules); err != nil {
		r.WrongRules(err)
	}
	return file
}

// absolute is a path seen from the file's directory.
func (r *reader) absolute(path string) string {
	if filepath.IsAbs(path) {
		return filepath.Clean(path)
	}
	return filepath.Join(r.dir, path)
}

// file makes a path absolute and looks whether something can be read there.
func (r *reader) file(key string, path *string) []byte {
	if *path == "" {
		if r.Given(key) && !r.Wrong(key) {
			r.Problem(key, "no file is named", "name one, or remove the key")
		}
		return nil
	}
	*path = r.absolute(*path)
	data, err := readRegular(*path)
	if err != nil {
		r.Problem(key, fmt.Sprintf("%s %v", *path, err), "")
	}
	return data
}

func (r *reader) stickyKeys(k *StickyKeys) {
	const least = 32
	for _, one := range []struct {
		key  string
		path *string
		to   *Secret
	}{{"sticky_keys.current", &k.Current, &k.CurrentKey}, {"sticky_keys.previous", &k.Previous, &k.PreviousKey}} {
		if *one.to = r.file(one.key, one.path); *one.path != "" && len(*one.to) < least && !r.Wrong(one.key) {
			r.Problem(one.key, fmt.Sprintf("%s has %d bytes, too few for a key", *one.path, len(*one.to)), fmt.Sprintf("make one: head -c %d /dev/urandom > %s", least, *one.path))
		}
	}
	if k.Previous != "" && k.Current == "" && !r.Wrong("sticky_keys") {
		r.Misplaced("sticky_keys.previous", "there is a key before the current one, and no current one", "add current")
	}
}

// rule is a route as package route has it.
func (r *reader) rule(i int, f *routeFormat) route.Rule {
	path := fmt.Sprintf("routes[%d]", i)
	rule := route.Rule{Name: f.Name, Policy: f.Policy.Policy, Match: route.Match{Hosts: f.Host, Path: f.Path, Scheme: f.Scheme, Methods: f.Methods}}
	if r.Given(path + ".exact") {
		if r.Given(path + ".path") {
			r.Misplaced(path+".exact", "the path is given twice", "keep path, for a prefix, or exact")
		}
		rule.Match.Path, rule.Match.Exact = f.Exact, true
	}
	rule.Match.Conditions = r.Conditions(path, &f.Match)
	if rule.Name == "" {
		rule.Name = strings.Join(f.Host, ",") + rule.Match.Path
	}
	if rule.Name == "" {
		rule.Name = "/"
	}
	at := path + ".sticky.for"
	if !r.Given(at) {
		at = "defaults.sticky.for"
	}
	if f.Sticky.For != 0 && !r.Wrong(at) {
		r.Problem(at, "a file has no cutover after which a client could stay", "leave it out; split says which upstreams are one release")
	}
	rule.Action = r.action(path, f)
	rule.Policy.ErrorPages = r.pages(path, f.ErrorPages)
	r.Fits(path, "defaults", &f.Policy)
	return rule
}

// action is the one thing that a route does.
func (r *reader) action(path string, f *routeFormat) route.Action {
	var given []string
	for _, key := range []string{"to", "split", "redirect", "respond", "files"} {
		if r.Given(path + "." + key) {
			given = append(given, key)
		}
	}
	switch {
	case len(given) > 1:
		r.Misplaced(path+"."+given[1], "the route does two things: "+strings.Join(given, " and "), "keep one")
		return nil
	case len(given) == 0:
		r.Problem(path, "the route does nothing", "add to, split, redirect, respond or files")
		return nil
	}
	r.Spreads(path, &f.Spread, r.known)
	switch given[0] {
	case "to":
		r.known(path+".to", f.To)
		return &route.Forward{Pools: []route.Share{{Pool: f.To, Weight: 1}}}
	case "split":
		return &route.Forward{Pools: f.Split, By: f.SplitBy}
	case "redirect":
		return notNil(f.Redirect)
	case "respond":
		return r.Respond(path+".respond", f.Respond)
	}
	return r.directory(path+".files", f.Files)
}

// notNil keeps a pointer that is nil, after a problem, from looking like an action.
func notNil(a *route.Redirect) route.Action {
	if a == nil {
		return nil
	}
	return a
}

// known reports a pool that the file does not have.
func (r *reader) known(path, pool string) {
	if _, ok := r.f.Pools[pool]; ok || r.Wrong(path) || r.Wrong("pools") && pool != "" {
		return
	}
	names := slices.Sorted(maps.Keys(r.f.Pools))
	hint := strict.DidYouMean(pool, names, "there is ")
	if len(names) == 0 {
		hint = fmt.Sprintf("add one: pools: {%s: 127.0.0.1:9000}", pool)
	}
	r.Problem(path, fmt.Sprintf("there is no pool %q", pool), hint)
}

func (r *reader) directory(path string, f *route.Files) route.Action {
	if f == nil {
		return nil
	}
	if f.Dir != "" {
		f.Dir = r.absolute(f.Dir)
		if info, err := os.Stat(f.Dir); err != nil || !info.IsDir() {
			r.Problem(path+".dir", f.Dir+" is no directory", "make it, or name another")
		}
	}
	r.Pattern(path, f)
	return f
}

// pages reads the error pages below path. A route has those of the defaults, which report what is wrong with them themselves.
func (r *reader) pages(path string, files map[string]string) []route.ErrorPage {
	return r.ErrorPages(func(statuses string) string {
		if at := strict.Join(path+".error_pages", statuses); r.Given(at) {
			return at
		}
		return strict.Join("defaults.error_pages", statuses)
	}, files)
}
