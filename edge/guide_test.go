package edge

import (
	"os"
	"regexp"
	"strings"
	"testing"
)

// TestTheGuidesQueriesAskForWhatIsThere looks for every metric of the guide in a scrape.
func TestTheGuidesQueriesAskForWhatIsThere(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../docs/guides/metrics.md")
	if err != nil {
		t.Fatal(err)
	}
	var path string
	f := newFixture(t, logged(t, &path))
	a := start(t, "tcp", "web.r1.1", says(1))
	f.table(1, nil, a.Backend)
	get(t, client(t), f.url("/"))
	f.settled(1)
	there := f.scrape()
	names := regexp.MustCompile(`\b(?:http|semper_edge)_[a-z0-9_]+[({\[]`).FindAllString(string(text), -1)
	if len(names) < 6 {
		t.Fatalf("the guide has %d queries: %v", len(names), names)
	}
	for _, name := range names {
		name = strings.TrimRight(name, "({[")
		family := strings.TrimSuffix(strings.TrimSuffix(name, "_count"), "_bucket")
		if there[family] == nil {
			t.Errorf("the guide asks for %s, which is not there", name)
		}
	}
}
