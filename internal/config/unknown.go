package config

import (
	"fmt"
	"strings"

	"go.yaml.in/yaml/v4"

	"semper/internal/config/foreign"
	"semper/internal/nearest"
)

// unknown reports a key the format does not have, with the nearest one it has.
func (r *reader) unknown(n *yaml.Node, path, key string, known fields) {
	r.add(n, join(path, key), fmt.Sprintf("unknown key %q", key), r.instead(path, key, known))
}

// instead is the hint for an unknown key: another word for it, a key of this mapping that is spelled
// alike, the mapping the key belongs to, or all keys there are.
func (r *reader) instead(path, key string, known fields) string {
	for _, other := range foreign.Key(key) {
		if known.named(other).name != "" {
			return fmt.Sprintf("did you mean %q?", other)
		}
	}
	if hint := foreign.Elsewhere(path, key); hint != "" {
		return hint
	}
	if near := nearest.To(key, known.names()); near != "" {
		return fmt.Sprintf("did you mean %q?", near)
	}
	if home := r.home(key); home != "" {
		return home
	}
	return oneOf(known.names())
}

// home says where key belongs, when it is a key of another mapping; of those, the outermost one.
func (r *reader) home(key string) string {
	for _, s := range r.fields.settings() {
		if s.name != key {
			continue
		}
		parent := strings.TrimSuffix(strings.TrimSuffix(s.path, key), ".")
		switch parent {
		case "defaults":
			return fmt.Sprintf("%q belongs in routes, or in defaults for all of them", key)
		case "":
			return fmt.Sprintf("%q belongs at the top level", key)
		}
		return fmt.Sprintf("%q belongs in %s", key, strings.TrimSuffix(parent, "[]"))
	}
	return ""
}
