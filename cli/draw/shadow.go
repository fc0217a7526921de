package draw

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"

	"semper/api"
	"semper/verify/diff"
)

// mostPlaces is how many places without proof a table has; the rest is in the JSON.
const mostPlaces = 10

// shadow is the table of where answers to copies differ, what is proven and what is new first.
func shadow(w io.Writer, p Paint, s *api.JudgedShadow) {
	fmt.Fprintf(w, "\n%d answers to copies compared, %d of them with a second copy of the current release; %d requests were to be copied%s\n",
		s.Pairs, s.Copies, s.Sampled, left(s))
	order := []diff.Status{diff.Different, diff.Novel, diff.Unknown, diff.Noisy}
	places := slices.Clone(s.Places)
	slices.SortStableFunc(places, func(a, b api.JudgedPlace) int { return slices.Index(order, a.Status) - slices.Index(order, b.Status) })
	g := Grid{{p.Dim("DIFFERENCE"), p.Dim("AT"), p.Dim("TIMES"), p.Dim("BY ITSELF"), p.Dim("IS"), p.Dim("EXAMPLE")}}
	shown := 0
	for _, at := range places {
		if shown >= mostPlaces && at.Status != diff.Different {
			continue
		}
		shown++
		example := ""
		if len(at.Examples) > 0 {
			example = OneLine(at.Examples[0].Was + " → " + at.Examples[0].Is)
		}
		g.Row(OneLine(at.Path.String()), OneLine(at.Endpoint), strconv.FormatInt(at.Seen, 10), strconv.FormatInt(at.Noise, 10), string(at.Status), example)
	}
	if shown > 0 {
		g.Write(w)
	}
	if n := len(places) - shown; n > 0 {
		fmt.Fprintf(w, "and %d places more: --json tells them\n", n)
	}
	if len(s.Stale) > 0 {
		fmt.Fprintf(w, "expected, and never came: %s\n", OneLine(strings.Join(s.Stale, ", ")))
	}
}

// left are the requests that are no pair, by reason.
func left(s *api.JudgedShadow) string {
	var all []string
	for _, by := range []map[string]uint64{s.Skipped, s.Dropped} {
		for _, reason := range slices.Sorted(maps.Keys(by)) {
			all = append(all, fmt.Sprintf("%s %d", reason, by[reason]))
		}
	}
	if len(all) == 0 {
		return ""
	}
	return " (left out: " + OneLine(strings.Join(all, ", ")) + ")"
}
