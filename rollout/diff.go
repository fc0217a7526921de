package rollout

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"semper"
)

// Diff lists what differs from a to b, one change per line: "+ key: value", "- key: value",
// "~ key: old → new". A zero a means everything is new. Secret values are never known here.
func Diff(a, b semper.Release) []string {
	var out []string
	if a.Artifact != b.Artifact {
		out = append(out, change("artifact", a.Artifact.Short(), b.Artifact.Short()))
	}
	x, y := flatten(a.Spec), flatten(b.Spec)
	keys := maps.Clone(x)
	maps.Copy(keys, y)
	for _, k := range slices.Sorted(maps.Keys(keys)) {
		if x[k] != y[k] {
			out = append(out, change(k, x[k], y[k]))
		}
	}
	return out
}

func change(key, old, now string) string {
	switch {
	case old == "":
		return fmt.Sprintf("+ %s: %s", key, now)
	case now == "":
		return fmt.Sprintf("- %s: %s", key, old)
	}
	return fmt.Sprintf("~ %s: %s → %s", key, old, now)
}

// flatten turns a spec into dotted keys and printed values; empty values are left out.
func flatten(s semper.Spec) map[string]string {
	out := make(map[string]string)
	if s.App == "" {
		return out
	}
	b, err := json.Marshal(s)
	if err != nil {
		return out
	}
	var tree any
	if json.Unmarshal(b, &tree) == nil {
		walk("", tree, out)
	}
	delete(out, "app")
	return out
}

func walk(prefix string, v any, out map[string]string) {
	switch v := v.(type) {
	case map[string]any:
		for k, e := range v {
			walk(strings.TrimPrefix(prefix+"."+k, "."), e, out)
		}
	case []any:
		if prefix == "routes" {
			walkRoutes(v, out)
			return
		}
		if b, err := json.Marshal(v); err == nil && len(v) > 0 {
			out[prefix] = string(b)
		}
	case nil:
	case string:
		if v = printed(prefix, v); v != "" {
			out[prefix] = v
		}
	default:
		out[prefix] = fmt.Sprint(v)
	}
}

// descriptors is the key of a descriptor set, which is base64 in JSON.
const descriptors = "deploy.shadow.rules.protobuf.set"

// printed is a text as one line tells it. Of an answer's body and of a descriptor set that is how long it is, and its digest.
func printed(key, text string) string {
	file := []byte(text)
	if set, err := base64.StdEncoding.DecodeString(text); err == nil && key == descriptors {
		file = set
	} else if !strings.ContainsAny(text, "\r\n") {
		return text
	}
	return fmt.Sprintf("%d bytes, %s", len(file), semper.DigestOf(file).Short())
}

// walkRoutes names each route by its host and path, and the second of the same ones by its place among them as well.
func walkRoutes(routes []any, out map[string]string) {
	seen := make(map[string]int)
	for _, r := range routes {
		one, ok := r.(map[string]any)
		if !ok {
			continue
		}
		name := fmt.Sprint(one["path"])
		if one["host"] != nil {
			name = fmt.Sprint(one["host"]) + name
		}
		if seen[name]++; seen[name] > 1 {
			name += fmt.Sprintf(" (%d)", seen[name])
		}
		delete(one, "host")
		delete(one, "path")
		walk("routes["+name+"]", one, out)
	}
}
