package api

import (
	"fmt"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// TestResumedLogGivesEachLineOnce: whatever was printed and wherever the stream broke, lines that can
// be told apart come once each, in order.
func TestResumedLogGivesEachLineOnce(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(0, 3*memory).Draw(t, "printed")
		var printed []string
		for i := range n {
			printed = append(printed, fmt.Sprint("line ", i))
		}
		cut := rapid.IntRange(0, n).Draw(t, "cut")
		before := rapid.IntRange(cut, min(n, cut+memory-1)).Draw(t, "printed before the new stream")
		r := newResumer()
		var got []string
		feed := func(lines []string) {
			for _, l := range lines {
				got = append(got, r.pass(LogLine{Instance: "bar/web.r1.1", Line: l})...)
			}
		}
		feed(printed[:cut])
		r.again()
		feed(printed[max(0, before-memory):before]) // what a new stream begins with
		feed(printed[before:])
		if !slices.Equal(got, printed) {
			t.Fatalf("cut at %d, again at %d of %d: got %d lines", cut, before, n, len(got))
		}
	})
}

func TestOverlap(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		seen, next string
		n          int
		decided    bool
	}{
		{"abc", "abc", 3, true}, {"abc", "abcd", 3, true}, {"abc", "bc", 2, true}, {"abc", "a", 0, false}, {"abc", "b", 0, false},
		{"abc", "c", 1, true}, {"abc", "x", 0, true}, {"aaa", "a", 0, false}, {"aaa", "aaa", 3, true}, {"aaa", "aab", 2, true}, {"", "a", 0, true},
		{"abab", "ab", 0, false}, {"abab", "abc", 2, true},
	} {
		split := func(s string) (l []string) {
			for _, r := range s {
				l = append(l, string(r))
			}
			return l
		}
		if n, decided := overlap(split(c.seen), split(c.next)); n != c.n || decided != c.decided {
			t.Errorf("overlap(%q, %q) = %d, %v", c.seen, c.next, n, decided)
		}
	}
}
