package semper_test

import (
	"cmp"
	"fmt"
	"go/ast"
	"maps"
	"slices"
	"testing"
)

// Over these a function or file is refused; the aims are 60 and 400 lines, 2,500 for a package.
const (
	maxFunction = 100
	maxFile     = 600
	maxPackage  = 4000
	maxNouns    = 1500 // the root package is one page
)

func TestEveryPackageHasExactlyOneDoc(t *testing.T) {
	t.Parallel()
	all, _ := packages(t)
	for _, name := range slices.Sorted(maps.Keys(all)) {
		var docs []string
		for _, f := range all[name].files {
			if f.ast.Doc != nil && !f.test {
				docs = append(docs, f.name)
			}
		}
		if len(docs) != 1 {
			t.Errorf("package %q has %d package docs, want one: %v", name, len(docs), docs)
		}
	}
}

// TestSizes keeps the tail short and, with -v, shows where it is longest.
func TestSizes(t *testing.T) {
	t.Parallel()
	all, set := packages(t)
	type size struct {
		lines int
		what  string
	}
	var functions, files, pkgs []size
	for name, p := range all {
		total := 0
		for _, f := range p.files {
			if f.test {
				continue
			}
			total += f.lines
			files = append(files, size{f.lines, f.name})
			for _, d := range f.ast.Decls {
				if fn, ok := d.(*ast.FuncDecl); ok {
					lines := set.Position(fn.End()).Line - set.Position(fn.Pos()).Line + 1
					functions = append(functions, size{lines, fmt.Sprintf("%s %s", f.name, fn.Name.Name)})
				}
			}
		}
		pkgs = append(pkgs, size{total, "package " + name})
		if name == "" && total > maxNouns {
			t.Errorf("the nouns have %d lines: more than the %d of one page", total, maxNouns)
		}
	}
	for _, kind := range []struct {
		name  string
		sizes []size
		limit int
	}{{"functions", functions, maxFunction}, {"files", files, maxFile}, {"packages", pkgs, maxPackage}} {
		slices.SortFunc(kind.sizes, func(a, b size) int { return cmp.Or(b.lines-a.lines, cmp.Compare(a.what, b.what)) })
		t.Logf("the longest %s:", kind.name)
		for i, s := range kind.sizes {
			if i < 5 {
				t.Logf("  %5d  %s", s.lines, s.what)
			}
			if s.lines > kind.limit {
				t.Errorf("%s has %d lines: more than %d", s.what, s.lines, kind.limit)
			}
		}
	}
}
