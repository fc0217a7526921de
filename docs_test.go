package semper_test

import (
	"go/ast"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// declared is every exported top-level name of the module, by its package's last element: "semper.Release".
func declared(t *testing.T) map[string]bool {
	t.Helper()
	all, _ := packages(t)
	names := map[string]bool{}
	for _, p := range all {
		for _, f := range p.files {
			if f.test {
				continue
			}
			for _, d := range f.ast.Decls {
				for _, n := range declares(d) {
					names[f.ast.Name.Name+"."+n] = true
				}
			}
		}
	}
	return names
}

func declares(d ast.Decl) []string {
	g, ok := d.(*ast.GenDecl)
	if !ok {
		return nil
	}
	var names []string
	for _, s := range g.Specs {
		if ts, ok := s.(*ast.TypeSpec); ok && ts.Name.IsExported() {
			names = append(names, ts.Name.Name)
		}
	}
	return names
}

var glossaryRow = regexp.MustCompile("(?m)^\\| ([a-z -]+) \\| (?:`([a-z]+\\.[A-Za-z]+)`)? ?\\| .+ \\|$")

// words that the design names and that this version has; the glossary must explain each.
var words = []string{
	"artifact", "app", "service", "release", "environment", "instance", "unit", "supervisor", "rollout", "edge", "route table",
	"epoch", "hold", "drain", "keeper", "event", "crash report", "ledger", "warm", "cutover", "store", "incarnation", "intensity",
}

func TestGlossary(t *testing.T) {
	t.Parallel()
	text := read(t, "docs/glossary.md")
	names := declared(t)
	rows := glossaryRow.FindAllStringSubmatch(text, -1)
	has := map[string]bool{}
	last := ""
	for _, row := range rows {
		word, name := row[1], row[2]
		if has[word] {
			t.Errorf("%q is explained twice", word)
		}
		has[word] = true
		if name != "" && !names[name] {
			t.Errorf("%q is said to be %s, which the code does not declare", word, name)
		}
		if word < last && word != "word" {
			t.Errorf("%q stands behind %q: the glossary is sorted", word, last)
		}
		last = word
	}
	for _, w := range words {
		if !has[w] {
			t.Errorf("the glossary does not explain %q", w)
		}
	}
	if lines := strings.Count(text, "\n| ") - 1; lines != len(rows) { // less the heading
		t.Errorf("%d rows, of which only %d can be read", lines, len(rows))
	}
}

// codeBlock has no links, however much an index and a call look like one.
var codeBlock = regexp.MustCompile("(?ms)^```.*?^```$")

var link = regexp.MustCompile(`\]\(([^)\s]+)\)`)

func TestLinksLeadSomewhere(t *testing.T) {
	t.Parallel()
	for _, page := range pages(t) {
		for _, m := range link.FindAllStringSubmatch(codeBlock.ReplaceAllString(read(t, page), ""), -1) {
			target, anchor, _ := strings.Cut(m[1], "#")
			if strings.Contains(target, "://") {
				continue
			}
			to := page
			if target != "" {
				to = filepath.Join(filepath.Dir(page), target)
			}
			if _, err := os.Stat(to); err != nil {
				t.Errorf("%s links to %s, which is not there", page, m[1])
				continue
			}
			if anchor != "" && !strings.Contains(anchors(read(t, to)), "\n"+anchor+"\n") {
				t.Errorf("%s links to %s: %s has no such heading", page, m[1], to)
			}
		}
	}
}

// pages are the Markdown files of the repository.
func pages(t *testing.T) []string {
	t.Helper()
	var all []string
	err := filepath.WalkDir(".", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && (d.Name() == "testdata" || name != "." && strings.HasPrefix(d.Name(), ".")) {
			return fs.SkipDir
		}
		if strings.HasSuffix(name, ".md") {
			all = append(all, name)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(all) < 10 {
		t.Fatalf("only %d pages found", len(all))
	}
	return all
}

// unnamed is what a heading's anchor leaves out.
var unnamed = regexp.MustCompile(`[^a-z0-9 _-]`)

// anchors are the headings of a page as links name them, one per line.
func anchors(text string) string {
	var out strings.Builder
	out.WriteString("\n")
	for line := range strings.SplitSeq(text, "\n") {
		if h := strings.TrimLeft(line, "#"); h != line {
			h = strings.ToLower(strings.TrimSpace(h))
			h = unnamed.ReplaceAllString(h, "")
			out.WriteString(strings.ReplaceAll(h, " ", "-") + "\n")
		}
	}
	return out.String()
}

// TestTheReadmesCommands checks that what the README and CI promise is there.
func TestTheReadmesCommands(t *testing.T) {
	t.Parallel()
	readme, makefile := read(t, "README.md"), read(t, "Makefile")
	for _, m := range regexp.MustCompile("(?m)^make ([a-z]+)").FindAllStringSubmatch(readme, -1) {
		if !strings.Contains(makefile, "\n"+m[1]+":") {
			t.Errorf("the README says make %s, which the Makefile does not have", m[1])
		}
	}
	if !strings.Contains(read(t, ".ci/run"), "exec make test") || !strings.Contains(readme, "make test ") {
		t.Error("CI does not run the README's test command")
	}
}

func read(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}
