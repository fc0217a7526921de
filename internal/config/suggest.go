package config

import (
	"fmt"
	"strings"

	"semper/internal/nearest"
)

// didYouMean is `did you mean "x"?` for the candidate nearest to word, or "" where none is near.
func didYouMean(word string, candidates []string) string {
	if c := nearest.To(word, candidates); c != "" {
		return fmt.Sprintf("did you mean %q?", c)
	}
	return ""
}

// oneOf lists what there is: `it is one of "a", "b" or "c"`.
func oneOf(words []string) string {
	q := make([]string, len(words))
	for i, w := range words {
		q[i] = fmt.Sprintf("%q", w)
	}
	if len(q) < 2 {
		return "there is only " + strings.Join(q, "")
	}
	return "it is one of " + strings.Join(q[:len(q)-1], ", ") + " or " + q[len(q)-1]
}
