package routefile

import (
	"encoding/json"
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"
)

var example = regexp.MustCompile("(?ms)^```yaml\n(.*?)^```$")

// TestTheGuidesExamples reads every example of the guide. What one leaves out is the pool app, and a route to it.
func TestTheGuidesExamples(t *testing.T) {
	t.Parallel()
	guide := string(slurp(t, "../../docs/guides/edge-alone.md"))
	examples := example.FindAllStringSubmatch(guide, -1)
	if len(examples) < 15 {
		t.Fatalf("only %d examples", len(examples))
	}
	for i, e := range examples {
		text := e[1]
		if !regexp.MustCompile("(?m)^pools:").MatchString(text) {
			text += "pools: {app: 127.0.0.1:9000}\n"
		}
		if !regexp.MustCompile("(?m)^routes:").MatchString(text) {
			text += "routes: [{to: " + regexp.MustCompile(`(?m)^(?:pools: \{| +)\s*([a-z]+):`).FindStringSubmatch(text[strings.Index(text, "pools:"):])[1] + "}]\n"
		}
		if _, err := parse("edge-alone.md", site(t), []byte(text)); err != nil {
			t.Errorf("example %d:\n%v", i+1, err)
		}
	}
}

// TestTheGuideHasEverySetting looks for each key of the format in the guide.
func TestTheGuideHasEverySetting(t *testing.T) {
	t.Parallel()
	guide := string(slurp(t, "../../docs/guides/edge-alone.md"))
	rare := map[string]bool{ // left to the schema
		"name": true, "roots": true, "directory": true, "panic_threshold": true, "failure_percent": true, "max": true, "floor": true,
		"index": true, "uncompressed": true, "http2": true, "enabled": true, "add": true, "equals": true,
	}
	var schema any
	if err := json.Unmarshal(Schema(), &schema); err != nil {
		t.Fatal(err)
	}
	keys := map[string]bool{}
	properties(schema, keys)
	if len(keys) < 80 {
		t.Fatalf("only %d keys", len(keys))
	}
	for _, key := range slices.Sorted(maps.Keys(keys)) {
		if has := regexp.MustCompile(`(?m)(^|[ {.,\x60])` + regexp.QuoteMeta(key) + `[:\x60]`).MatchString(guide); has == rare[key] {
			t.Errorf("%s: in the guide %v, said to be rare %v", key, has, rare[key])
		}
	}
}

// properties are the names of all keys in a schema.
func properties(schema any, keys map[string]bool) {
	switch s := schema.(type) {
	case []any:
		for _, e := range s {
			properties(e, keys)
		}
	case map[string]any:
		for name, e := range s {
			if p, ok := e.(map[string]any); ok && name == "properties" {
				for key := range p {
					keys[key] = true
				}
			}
			properties(e, keys)
		}
	}
}

// The message the guide shows is the one that is printed.
func TestTheGuidesMessage(t *testing.T) {
	t.Parallel()
	_, err := parse("edge.yaml", site(t), []byte("pools: {app: 127.0.0.1:9000}\nroutes:\n  - { to: app }\n  - { host: shop.example.com, proxy_pass: app }\n"))
	_, shown, _ := strings.Cut(err.Error(), "edge.yaml:4:31")
	if guide := string(slurp(t, "../../docs/guides/edge-alone.md")); err == nil || !strings.Contains(guide, "edge.yaml:4:31"+shown) {
		t.Errorf("the guide does not show\n%v", err)
	}
}
