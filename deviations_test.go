package semper_test

import (
	"flag"
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the table of deviations into the guide")

const (
	deviationsPage = "docs/guides/go-for-otp-programmers.md"
	tableBegin     = "<!-- begin: go test . -run Deviations -update -->\n"
	tableEnd       = "<!-- end -->\n"
)

// deviating are the packages whose docs have a list of deviations, in the order of the table.
var deviating = []string{
	"supervise", "actor", "actor/statem", "actor/agent", "actor/task", "actor/registry", "actor/group", "actor/application",
	"actor/telemetry", "actor/observer",
}

// TestDeviations checks that the guide's table is what the docs of the packages say, each deviation once.
func TestDeviations(t *testing.T) {
	t.Parallel()
	all, _ := packages(t)
	var table strings.Builder
	table.WriteString("| in | deviation |\n|---|---|\n")
	for _, path := range deviating {
		p := all[path]
		if p == nil {
			t.Fatalf("no package %s", path)
		}
		found := deviations(packageDoc(p))
		if len(found) == 0 {
			t.Errorf("%s has no list under a heading \"# Deviations from …\"", path)
		}
		for i, d := range found {
			fmt.Fprintf(&table, "| %s %d | %s |\n", path, i+1, d)
		}
	}
	for path, p := range all {
		if top, _, _ := strings.Cut(path, "/"); top != "actor" && top != "supervise" {
			continue
		}
		if len(deviations(packageDoc(p))) > 0 && !strings.Contains(" "+strings.Join(deviating, " ")+" ", " "+path+" ") {
			t.Errorf("%s deviates, and is not in the list of this test", path)
		}
	}
	page := read(t, deviationsPage)
	before, rest, ok := strings.Cut(page, tableBegin)
	old, after, ok2 := strings.Cut(rest, tableEnd)
	if !ok || !ok2 {
		t.Fatalf("%s does not mark the place of the table", deviationsPage)
	}
	switch {
	case old == table.String():
	case *update:
		if err := os.WriteFile(deviationsPage, []byte(before+tableBegin+table.String()+tableEnd+after), 0o644); err != nil {
			t.Fatal(err)
		}
	default:
		t.Errorf("%s and the docs of the packages differ; if the docs are right: go test . -run Deviations -update", deviationsPage)
	}
}

// packageDoc is the text of the one file that documents p.
func packageDoc(p *pkg) string {
	for _, f := range p.files {
		if !f.test && f.ast.Doc != nil {
			return f.ast.Doc.Text()
		}
	}
	return ""
}

var (
	deviationHead = regexp.MustCompile(`(?m)^# Deviations .*\n`)
	docLink       = regexp.MustCompile(`\[([A-Za-z][A-Za-z.]*)\]`)
)

// deviations are the bullets below the heading, each as one line of Markdown.
func deviations(doc string) []string {
	at := deviationHead.FindStringIndex(doc)
	if at == nil {
		return nil
	}
	list, _, _ := strings.Cut(doc[at[1]:], "\n# ")
	var all []string
	for line := range strings.SplitSeq(list, "\n") {
		text := strings.TrimSpace(line)
		if bullet, ok := strings.CutPrefix(text, "- "); ok {
			all = append(all, bullet)
		} else if len(all) > 0 && text != "" {
			all[len(all)-1] += " " + text
		}
	}
	for i := range all {
		all[i] = strings.ReplaceAll(docLink.ReplaceAllString(all[i], "`$1`"), "|", `\|`)
	}
	return all
}
