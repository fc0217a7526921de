package semper_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var fence = regexp.MustCompile("(?ms)^```go( elsewhere)?\n(.*?)^```$")

// TestQuotes checks that the Go code of the guides about the libraries, and of the README, is code that compiles and
// runs: each of its paragraphs stands in docs/guides/*_test.go. Code of others is marked "go elsewhere".
func TestQuotes(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("docs/guides/*_test.go")
	if err != nil || len(files) == 0 {
		t.Fatalf("no code for the guides: %v", err)
	}
	var code strings.Builder
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		code.WriteString("\n" + flush(string(b)) + "\n")
	}
	quotes := 0
	for _, page := range []string{
		"README.md", "docs/concepts/tree.md", "docs/guides/otp-for-go-programmers.md", "docs/guides/go-for-otp-programmers.md", "docs/guides/from-suture.md",
	} {
		for _, block := range fence.FindAllStringSubmatch(read(t, page), -1) {
			if block[1] != "" {
				continue
			}
			for paragraph := range strings.SplitSeq(strings.Trim(block[2], "\n"), "\n\n") {
				quotes++
				if !strings.Contains(code.String(), "\n"+flush(paragraph)+"\n") {
					t.Errorf("%s shows what is in none of %v:\n%s", page, files, paragraph)
				}
			}
		}
	}
	if quotes < 10 {
		t.Errorf("only %d paragraphs of code found", quotes)
	}
}

var margin = regexp.MustCompile(`(?m)^[ \t]+|[ \t]+$`)

// flush is code without indentation.
func flush(code string) string { return margin.ReplaceAllString(code, "") }
