package semper_test

import (
	"fmt"
	"go/ast"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// scenarios is how many the suites of OTP and Elixir have that mean something here.
const scenarios = 147

var (
	scenarioRow  = regexp.MustCompile(`(?m)^\| (\d+) \| (.+?) \| (.*) \|$`)
	scenarioCite = regexp.MustCompile("`([a-z/]+\\.Test[A-Za-z0-9_]+)`")
	scenarioTest = regexp.MustCompile(`^TestScenario(\d+)((?:(?:And|To)\d+)*)`)
	scenarioMore = regexp.MustCompile(`(And|To)(\d+)`)
)

// TestScenarioTable checks docs/scenarios.md against the tests that there are, in both directions.
func TestScenarioTable(t *testing.T) {
	t.Parallel()
	tests := testsOf(t)
	page := read(t, "docs/scenarios.md")
	for _, cite := range scenarioCite.FindAllStringSubmatch(page, -1) {
		if !tests[cite[1]] {
			t.Errorf("the page names %s, which is not there", cite[1])
		}
	}
	table := map[int][]string{}
	for _, row := range scenarioRow.FindAllStringSubmatch(page, -1) {
		n, _ := strconv.Atoi(row[1])
		if _, twice := table[n]; twice || n < 1 || n > scenarios {
			t.Errorf("scenario %d: twice, or not one of 1 to %d", n, scenarios)
		}
		table[n] = []string{}
		for _, cite := range scenarioCite.FindAllStringSubmatch(row[3], -1) {
			table[n] = append(table[n], cite[1])
		}
		if _, reason, _ := strings.Cut(row[3], "not transferable: "); len(table[n]) == 0 && len(reason) < 20 {
			t.Errorf("scenario %d (%s) has neither a test nor a reason for having none", n, row[2])
		}
	}
	for n := 1; n <= scenarios; n++ {
		if table[n] == nil {
			t.Errorf("scenario %d is missing", n)
		}
	}
	for _, test := range slices.Sorted(maps.Keys(tests)) {
		for _, n := range numbers(test) {
			if !slices.Contains(table[n], test) {
				t.Errorf("%s is not in row %d", test, n)
			}
		}
	}
}

// testsOf is every test below actor and supervise: "actor/task.TestScenario138Yield".
func testsOf(t *testing.T) map[string]bool {
	t.Helper()
	all, _ := packages(t)
	tests := map[string]bool{}
	for path, p := range all {
		if top, _, _ := strings.Cut(path, "/"); top != "actor" && top != "supervise" {
			continue
		}
		for _, f := range p.files {
			if !f.test {
				continue
			}
			for _, d := range f.ast.Decls {
				if fn, ok := d.(*ast.FuncDecl); ok && fn.Recv == nil && strings.HasPrefix(fn.Name.Name, "Test") {
					tests[path+"."+fn.Name.Name] = true
				}
			}
		}
	}
	return tests
}

// numbers are the scenarios that a test says it plays: TestScenario48And50To52X says 48, 50, 51 and 52.
func numbers(test string) []int {
	_, name, _ := strings.Cut(test, ".")
	m := scenarioTest.FindStringSubmatch(name)
	if m == nil {
		return nil
	}
	first, _ := strconv.Atoi(m[1])
	all := []int{first}
	for _, more := range scenarioMore.FindAllStringSubmatch(m[2], -1) {
		n, _ := strconv.Atoi(more[2])
		from := n
		if more[1] == "To" {
			from = all[len(all)-1] + 1
		}
		for ; from <= n; from++ {
			all = append(all, from)
		}
	}
	return all
}

func TestScenarioNumbers(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{
		"a.TestScenario07X":             "[7]",
		"a.TestScenario48And50To52And9": "[48 50 51 52 9]",
		"a.TestScenarioX":               "[]",
		"a.TestScenario12AndThen":       "[12]",
	} {
		if got := fmt.Sprint(numbers(name)); got != want {
			t.Errorf("%s: %s, want %s", name, got, want)
		}
	}
}
