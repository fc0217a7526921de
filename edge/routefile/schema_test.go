package routefile

import (
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v4"
)

func TestSchemaFileIsCurrent(t *testing.T) {
	t.Parallel()
	golden(t, "../../docs/edge.schema.json", string(Schema()))
}

// The schema and the reader agree on what is in testdata: one takes what the other takes, and of what the reader refuses for a
// single key, the schema refuses the same keys.
func TestSchemaAgreesWithTheReader(t *testing.T) {
	t.Parallel()
	var root map[string]any
	if err := json.Unmarshal(Schema(), &root); err != nil {
		t.Fatal(err)
	}
	for _, path := range inputs(t, "testdata/valid/*.yaml", 3) {
		if problems := validate(root, root, document(t, path), ""); len(problems) > 0 {
			t.Errorf("%s:\n%s", path, strings.Join(problems, "\n"))
		}
	}
	for name, want := range map[string][]string{
		"unknown": {"listen", "pools.app.servers", "pools.api.keepalive.idel", "routes[0].server_name", "routes[2].timeouts.respons", "rout", "pools.app.upstreams"},
		"values": {
			"version", "listeners[3].unix", "pools.app.protocol", "pools.app.slow_start", "pools.app.upstreams[6].weight", "routes[0].timeouts.connect",
			"routes[0].timeouts.min_rate", "routes[0].limits.body", "routes[0].retry.tries", "routes[0].retry.share", "routes[0].max_in_flight",
			"routes[0].class", "routes[0].balance", "routes[0].sticky.same_site", "routes[0].compress", "routes[0].retry.on",
		},
		"noroutes": {"routes"},
	} {
		problems := validate(root, root, document(t, filepath.Join("testdata/errors", name+".yaml")), "")
		for _, key := range want {
			if !slices.ContainsFunc(problems, func(p string) bool { return strings.HasPrefix(p, key+": ") }) {
				t.Errorf("%s: nothing about %s in\n%s", name, key, strings.Join(problems, "\n"))
			}
		}
	}
}

// document is a YAML file as JSON has it.
func document(t testing.TB, path string) any {
	t.Helper()
	var v, out any
	if err := yaml.Load(slurp(t, path), &v); err != nil {
		t.Fatal(err)
	}
	b, err := json.Marshal(textKeys(v))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(b, &out); err != nil {
		t.Fatal(err)
	}
	return out
}

func textKeys(v any) any {
	switch v := v.(type) {
	case map[any]any:
		m := map[string]any{}
		for k, e := range v {
			m[fmt.Sprint(k)] = textKeys(e)
		}
		return m
	case map[string]any:
		for k, e := range v {
			v[k] = textKeys(e)
		}
	case []any:
		for i, e := range v {
			v[i] = textKeys(e)
		}
	}
	return v
}

// validate is a plain reading of the part of JSON Schema that Schema uses. Where no alternative fits, the problems are those
// of the one with the deepest, which is the one that was meant.
func validate(root, s map[string]any, v any, path string) (problems []string) {
	fail := func(what string) { problems = append(problems, fmt.Sprintf("%s: %v %s", path, v, what)) }
	if ref, ok := s["$ref"].(string); ok {
		return validate(root, root["$defs"].(map[string]any)[strings.TrimPrefix(ref, "#/$defs/")].(map[string]any), v, path)
	}
	if kind, ok := s["type"].(string); ok && !isType(v, kind) {
		fail("is not " + kind)
		return problems
	}
	if enum, ok := s["enum"].([]any); ok && !slices.Contains(enum, v) {
		fail(fmt.Sprintf("is none of %v", enum))
	}
	switch v := v.(type) {
	case string:
		if p, ok := s["pattern"].(string); ok && !regexp.MustCompile(p).MatchString(v) {
			fail("does not match " + p)
		}
	case float64:
		low, hasLow := s["minimum"].(float64)
		high, hasHigh := s["maximum"].(float64)
		if hasLow && v < low || hasHigh && v > high {
			fail("is out of bounds")
		}
	case []any:
		if items, ok := s["items"].(map[string]any); ok {
			for i, e := range v {
				problems = append(problems, validate(root, items, e, fmt.Sprintf("%s[%d]", path, i))...)
			}
		}
	case map[string]any:
		problems = append(problems, validateKeys(root, s, v, path)...)
	}
	return append(problems, validateAny(root, s, v, path)...)
}

func validateAny(root, s map[string]any, v any, path string) (best []string) {
	alternatives, _ := s["anyOf"].([]any)
	for _, a := range alternatives {
		p := validate(root, a.(map[string]any), v, path)
		if len(p) == 0 {
			return nil
		}
		if best == nil || len(strings.SplitN(p[0], ": ", 2)[0]) > len(strings.SplitN(best[0], ": ", 2)[0]) {
			best = p
		}
	}
	if len(best) > 0 && !strings.HasPrefix(best[0], path+": ") {
		best = append(best, path+": no alternative fits")
	}
	return best
}

func validateKeys(root, s, v map[string]any, path string) (problems []string) {
	at := func(name string) string { return strings.TrimPrefix(path+"."+name, ".") }
	required, _ := s["required"].([]any)
	for _, name := range required {
		if _, ok := v[name.(string)]; !ok {
			problems = append(problems, at(name.(string))+": is missing")
		}
	}
	properties, _ := s["properties"].(map[string]any)
	for _, name := range slices.Sorted(maps.Keys(v)) {
		p, known := properties[name].(map[string]any)
		more, isSchema := s["additionalProperties"].(map[string]any)
		switch {
		case known:
			problems = append(problems, validate(root, p, v[name], at(name))...)
		case isSchema:
			problems = append(problems, validate(root, more, v[name], at(name))...)
		case s["additionalProperties"] == false && !strings.HasPrefix(name, "x-"):
			problems = append(problems, at(name)+": is unknown")
		}
	}
	return problems
}

func isType(v any, kind string) bool {
	switch v := v.(type) {
	case nil:
		return kind == "null"
	case bool:
		return kind == "boolean"
	case string:
		return kind == "string"
	case float64:
		return kind == "number" || kind == "integer" && v == math.Trunc(v)
	case []any:
		return kind == "array"
	}
	return kind == "object"
}
