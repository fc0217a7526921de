package config

import (
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.yaml.in/yaml/v4"

	"semper"
)

func TestSchemaFileIsCurrent(t *testing.T) {
	t.Parallel()
	golden(t, "../../docs/semper.schema.json", string(Schema())+"\n")
}

// schemaNode is a part of a schema as JSON.
type schemaNode = map[string]any

func parsedSchema(t testing.TB) schemaNode {
	t.Helper()
	var root schemaNode
	if err := json.Unmarshal(Schema(), &root); err != nil {
		t.Fatal(err)
	}
	return root
}

// follow resolves $ref.
func follow(root, s schemaNode) schemaNode {
	if ref, ok := s["$ref"].(string); ok {
		return root["$defs"].(schemaNode)[strings.TrimPrefix(ref, "#/$defs/")].(schemaNode)
	}
	return s
}

// schemaKeys are the key paths a schema allows, in the notation of settings.
func schemaKeys(root, s schemaNode, path string, depth int) []string {
	if depth > 12 {
		return nil
	}
	s = follow(root, s)
	var keys []string
	for _, alternative := range asList(s["anyOf"]) {
		keys = append(keys, schemaKeys(root, alternative.(schemaNode), path, depth+1)...)
	}
	if items, ok := s["items"].(schemaNode); ok {
		keys = append(keys, schemaKeys(root, items, path+"[]", depth+1)...)
	}
	if more, ok := s["additionalProperties"].(schemaNode); ok {
		keys = append(keys, schemaKeys(root, more, path+".<name>", depth+1)...)
	}
	properties, _ := s["properties"].(schemaNode)
	for name, p := range properties {
		at := join(path, name)
		keys = append(keys, at)
		keys = append(keys, schemaKeys(root, p.(schemaNode), at, depth+1)...)
	}
	return keys
}

func asList(v any) []any {
	l, _ := v.([]any)
	return l
}

func TestSchemaHasTheKeysOfTheReader(t *testing.T) {
	t.Parallel()
	root := parsedSchema(t)
	var want []string
	for _, s := range (fieldCache{}).settings() {
		want = append(want, s.path)
		if !s.borrowed && s.typ.Kind() == reflect.Map && s.typ.Elem() == reflect.TypeFor[semper.EnvVar]() {
			want = append(want, s.path+".<name>.secret")
		}
		if s.borrowed { // a list of one may stand without brackets
			want = append(want, strings.Replace(s.path, "rate_limit[].", "rate_limit.", 1), strings.Replace(s.path, "deploy.testers[].", "deploy.testers.", 1))
		}
		if s.doc == "" {
			t.Errorf("%s has no documentation", s.path)
		}
	}
	got := schemaKeys(root, root, "", 0)
	slices.Sort(want)
	slices.Sort(got)
	if diff := cmp.Diff(slices.Compact(want), slices.Compact(got)); diff != "" {
		t.Errorf("keys (-reader +schema):\n%s", diff)
	}
	if len(want) < 70 {
		t.Errorf("only %d keys", len(want))
	}
	if root["$schema"] != "https://json-schema.org/draft/2020-12/schema" || root["additionalProperties"] != false {
		t.Errorf("schema %v, additional properties %v", root["$schema"], root["additionalProperties"])
	}
}

func TestSchemaAcceptsWhatTheReaderAccepts(t *testing.T) {
	t.Parallel()
	root := parsedSchema(t)
	files, err := filepath.Glob("testdata/valid/*.yaml")
	if err != nil || len(files) < 2 {
		t.Fatalf("%d files: %v", len(files), err)
	}
	for _, path := range files {
		if problems := validate(root, root, document(t, path), ""); len(problems) > 0 {
			t.Errorf("%s:\n%s", path, strings.Join(problems, "\n"))
		}
	}
}

func TestSchemaRefuses(t *testing.T) {
	t.Parallel()
	root := parsedSchema(t)
	for file, want := range map[string][]string{
		"unknown-keys": {"deploy", "processes", "services.web.instnaces"},
		"values":       {"version", "app", "services.web.type", "services.web.instances", "services.web.restart", "warm", "services.web.limits.memory", "services.web.limits.cpu"},
		"missing":      {"version", "app", "services.web.command"},
		"routing":      {"defaults.timeouts.respons", "routes[0].timeouts.response", "routes[2].rate_limit", "routes[2].limits.body", "services.web.protocol", "services.web.outlier.base"},
		"types":        {"env", "services.web.env.D", "services.web.command"},
		"names":        {"services.Web", "services.web_api"},
	} {
		problems := validate(root, root, document(t, "testdata/errors/"+file+".yaml"), "")
		for _, key := range want {
			if !slices.ContainsFunc(problems, func(p string) bool { return strings.HasPrefix(p, key+": ") || strings.HasPrefix(p, key+".") }) {
				t.Errorf("%s: nothing about %s in:\n%s", file, key, strings.Join(problems, "\n"))
			}
		}
	}
}

// document is a YAML file as JSON would have it.
func document(t testing.TB, path string) any {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var v any
	if err := yaml.Load(data, &v); err != nil {
		t.Fatal(err)
	}
	b, err := json.Marshal(stringKeys(v))
	if err != nil {
		t.Fatal(err)
	}
	var out any
	if err := json.Unmarshal(b, &out); err != nil {
		t.Fatal(err)
	}
	return out
}

func stringKeys(v any) any {
	switch v := v.(type) {
	case map[any]any:
		m := map[string]any{}
		for k, e := range v {
			m[fmt.Sprint(k)] = stringKeys(e)
		}
		return m
	case map[string]any:
		for k, e := range v {
			v[k] = stringKeys(e)
		}
	case []any:
		for i, e := range v {
			v[i] = stringKeys(e)
		}
	}
	return v
}

// validate is a second, dumb reading of the part of JSON Schema that Schema uses.
func validate(root, s schemaNode, v any, path string) []string {
	var problems []string
	fail := func(format string, args ...any) {
		problems = append(problems, path+": "+fmt.Sprintf(format, args...))
	}
	if ref, ok := s["$ref"].(string); ok {
		problems = append(problems, validate(root, follow(root, schemaNode{"$ref": ref}), v, path)...)
	}
	if want, ok := s["type"].(string); ok && !isType(v, want) {
		fail("%v is not of type %s", v, want)
		return problems
	}
	if c, ok := s["const"]; ok && c != v {
		fail("%v is not %v", v, c)
	}
	if enum := asList(s["enum"]); enum != nil && !slices.Contains(enum, v) {
		fail("%v is none of %v", v, enum)
	}
	switch v := v.(type) {
	case string:
		if p, ok := s["pattern"].(string); ok && !regexp.MustCompile(p).MatchString(v) {
			fail("%q does not match %s", v, p)
		}
	case float64:
		problems = append(problems, validateNumber(s, v, path)...)
	case []any:
		if items, ok := s["items"].(schemaNode); ok {
			for i, e := range v {
				problems = append(problems, validate(root, items, e, fmt.Sprintf("%s[%d]", path, i))...)
			}
		}
	case map[string]any:
		problems = append(problems, validateObject(root, s, v, path)...)
	}
	return append(problems, validateAny(root, s, v, path)...)
}

// validateAny reports the problems of the alternative that comes nearest.
func validateAny(root, s schemaNode, v any, path string) []string {
	var best []string
	for i, alternative := range asList(s["anyOf"]) {
		p := validate(root, alternative.(schemaNode), v, path)
		if len(p) == 0 {
			return nil
		}
		if i == 0 {
			best = p
		}
	}
	return best
}

func validateNumber(s schemaNode, v float64, path string) []string {
	low, hasLow := s["minimum"].(float64)
	high, hasHigh := s["maximum"].(float64)
	above, hasAbove := s["exclusiveMinimum"].(float64)
	if hasLow && v < low || hasHigh && v > high || hasAbove && v <= above {
		return []string{fmt.Sprintf("%s: %v is out of bounds", path, v)}
	}
	return nil
}

func validateObject(root, s schemaNode, v map[string]any, path string) []string {
	var problems []string
	for _, name := range asList(s["required"]) {
		if _, ok := v[name.(string)]; !ok {
			problems = append(problems, join(path, name.(string))+": is missing")
		}
	}
	properties, _ := s["properties"].(schemaNode)
	free, _ := s["patternProperties"].(schemaNode)
	for _, name := range slices.Sorted(maps.Keys(v)) {
		at := join(path, name)
		if names, ok := s["propertyNames"].(schemaNode); ok {
			problems = append(problems, validate(root, names, name, at)...)
		}
		isFree := false
		for pattern := range free {
			isFree = isFree || regexp.MustCompile(pattern).MatchString(name)
		}
		p, known := properties[name].(schemaNode)
		switch more := s["additionalProperties"].(type) {
		case schemaNode:
			problems = append(problems, validate(root, more, v[name], at)...)
		case bool:
			if !known && !isFree && !more {
				problems = append(problems, at+": is unknown")
			}
		}
		if known {
			problems = append(problems, validate(root, p, v[name], at)...)
		}
	}
	return problems
}

func isType(v any, want string) bool {
	switch v := v.(type) {
	case nil:
		return want == "null"
	case bool:
		return want == "boolean"
	case string:
		return want == "string"
	case float64:
		return want == "number" || want == "integer" && v == math.Trunc(v)
	case []any:
		return want == "array"
	}
	return want == "object"
}

// The defaults in the tags are documentation; semper.Spec.WithDefaults is what happens.
func TestDocumentedDefaultsAreApplied(t *testing.T) {
	t.Parallel()
	var text strings.Builder
	text.WriteString("version: 1\napp: a\nroutes: [{to: web}]\nservices: {web: {command: ./a, health: {tcp: true}, liveness: {tcp: true}}, nightly: {type: cron, command: ./b, schedule: '@daily'}}\n")
	bare, err := parse("semper.yaml", t.TempDir(), []byte(text.String()), nil)
	if err != nil {
		t.Fatal(err)
	}
	// The same file again with each default written out.
	const of = "services.<name>"
	sections, web := map[string][]string{}, service{Type: "web"}
	for _, s := range (fieldCache{}).settings() {
		if s.preset != "" && !s.borrowed {
			at := s.path[:max(0, strings.LastIndexByte(s.path, '.'))]
			if at == of && !web.means(s.name) {
				at = "cron"
			}
			sections[at] = append(sections[at], s.name+": "+s.preset)
		}
	}
	in := func(at string) string { return strings.Join(sections[at], ", ") }
	full := fmt.Sprintf(`version: 1
app: a
%s
drain: {%s}
hold: {%s}
routes: [{to: web, %s}]
services:
  web: {command: ./a, %s, health: {tcp: true, %s}, liveness: {tcp: true, %s}, stop: {%s}, limits: {%s}, intensity: {%s}, backoff: {%s}}
  nightly: {type: cron, command: ./b, schedule: '@daily', %s}
`, strings.Join(sections[""], "\n"), in("drain"), in("hold"), in("routes[]"), in(of), in(of+".health"), in(of+".liveness"),
		in(of+".stop"), in(of+".limits"), in(of+".intensity"), in(of+".backoff"), in("cron"))
	written, err := parse("semper.yaml", t.TempDir(), []byte(full), nil)
	if err != nil {
		t.Fatalf("%v\n%s", err, full)
	}
	if diff := cmp.Diff(bare.Spec, written.Spec); diff != "" {
		t.Errorf("spec (-defaults +documented):\n%s", diff)
	}
}

func TestExplain(t *testing.T) {
	t.Parallel()
	for key, want := range map[string][]string{
		"warm":                          {"warm: duration, default 5m"},
		"services.web.instances":        {"services.<name>.instances: whole number from 0 to 1000, default 1"},
		"instances":                     {"services.<name>.instances"},
		"services.web.health.path":      {"services.<name>.health.path: text"},
		"routes[0].to":                  {"routes[].to: text"},
		"timeouts.response":             {"defaults.timeouts.response: duration, or off, default off", "routes[].timeouts.response"},
		"routes[2].rate_limit.by":       {"routes[].rate_limit[].by: text"},
		"services.web.outlier.base":     {"services.<name>.outlier.base: duration, default 30s"},
		"timeout":                       {"services.<name>.health.timeout", "services.<name>.stop.timeout", "services.<name>.liveness.timeout"},
		"stop.signal":                   {"SIGTERM, SIGINT"},
		"services.web.limits.cpu":       {"number more than 0 and at most 4096"},
		"services.any.command":          {"command line or list of words, required"},
		"services":                      {"services: keys by name, required"},
		"services.web.health.liveness":  {"services.<name>.health.liveness: keys"},
		"services.<name>.backoff.reset": {"services.<name>.backoff.reset: duration, default 30s"},
	} {
		got, ok := Explain(key)
		if !ok {
			t.Errorf("%s: nothing", key)
		}
		for _, w := range want {
			if !strings.Contains(got, w) {
				t.Errorf("%s: no %q in\n%s", key, w, got)
			}
		}
	}
	for _, key := range []string{"", "instnaces", "web.instances.x", "services.web.nothing", "."} {
		if got, ok := Explain(key); ok {
			t.Errorf("%q: %s", key, got)
		}
	}
	if got, _ := Explain("env"); strings.Count(got, "\n\n") != 0 {
		t.Errorf("a key of the top level explains others too:\n%s", got)
	}
}

// The reference page holds a table of every key between two marks; -update writes it.
func TestReferencePage(t *testing.T) {
	t.Parallel()
	const path, begin, end = "../../docs/configuration.md", "<!-- keys: begin -->\n", "<!-- keys: end -->\n"
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, ok := strings.Cut(string(data), begin)
	_, after, ok2 := strings.Cut(rest, end)
	if !ok || !ok2 {
		t.Fatalf("%s has no %q and %q", path, begin, end)
	}
	page := before + begin + reference() + end + after
	golden(t, path, page)
	for _, s := range (fieldCache{}).settings() {
		if !strings.Contains(page, "`"+s.path+"`") && !strings.Contains(s.path, "liveness.") && !strings.HasPrefix(s.path, "defaults.") {
			t.Errorf("%s is not mentioned", s.path)
		}
		var example map[string]any
		if err := yaml.Unmarshal([]byte(s.name+": "+s.example), &example); err != nil {
			t.Errorf("the example of %s is no YAML (a comma in it is written \\\\, in the tag): %s", s.path, s.example)
		}
	}
}

// reference is the table of keys.
func reference() string {
	var b strings.Builder
	b.WriteString("| key | takes | default | |\n|---|---|---|---|\n")
	for _, s := range (fieldCache{}).settings() {
		if strings.Contains(s.path, "liveness.") || strings.HasPrefix(s.path, "defaults.") { // as in health, and in routes
			continue
		}
		preset := s.preset
		switch {
		case s.required:
			preset = "required"
		case preset != "":
			preset = "`" + preset + "`"
		}
		doc := s.doc
		if s.example != "" {
			doc += " Example: `" + s.name + ": " + s.example + "`."
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s |\n", s.path, s.takes(), preset, doc)
	}
	return b.String()
}
