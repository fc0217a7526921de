package draw

import (
	"fmt"
	"io"
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
	places := s.Ranked()
	g := Grid{{p.Dim("DIFFERENCE"), p.Dim("KIND"), p.Dim("AT"), p.Dim("TIMES"), p.Dim("BY ITSELF"), p.Dim("IS"), p.Dim("EXAMPLE")}}
	shown := 0
	for i := range places {
		at := &places[i]
		if shown >= mostPlaces && at.Status != diff.Different {
			continue
		}
		shown++
		g.Row(OneLine(at.Path.String()), string(at.Kind), OneLine(at.Endpoint), strconv.FormatInt(at.Seen, 10), strconv.FormatInt(at.Noise, 10),
			placeStatus(p, at.Status), example(at.Examples))
	}
	if shown > 0 {
		g.Write(w)
	}
	if n := len(places) - shown; n > 0 {
		fmt.Fprintf(w, "and %d places more: -o json tells them\n", n)
	}
	if s.Lost > 0 {
		fmt.Fprintf(w, "%d differences more at places for which there was no room\n", s.Lost)
	}
	if s.Expected > 0 {
		fmt.Fprintf(w, "%d differences that rules expect or ignore\n", s.Expected)
	}
	if len(s.Stale) > 0 {
		fmt.Fprintf(w, "expected, and never came: %s\n", OneLine(strings.Join(s.Stale, ", ")))
	}
	if s.Copies > 0 {
		fmt.Fprintf(w, "the candidate took more than 1.1 times as long for %d of the %d copies, the current release for %d\n", s.Slower, s.Copies, s.Faster)
	}
}

// placeStatus is painted by how much it says.
func placeStatus(p Paint, s diff.Status) string {
	switch s {
	case diff.Different:
		return p.Bad(string(s))
	case diff.Novel:
		return p.Warn(string(s))
	}
	return p.Dim(string(s))
}

// example is the first of them: of what was added or removed the one value there is.
func example(all []diff.Difference) string {
	if len(all) == 0 {
		return ""
	}
	switch e := all[0]; {
	case e.Was == "":
		return OneLine(e.Is)
	case e.Is == "":
		return OneLine(e.Was)
	default:
		return OneLine(e.Was + " → " + e.Is)
	}
}

// left are the requests that are no pair, by reason.
func left(s *api.JudgedShadow) string {
	var all []string
	for _, by := range s.LeftOut() {
		all = append(all, fmt.Sprintf("%s %d", by.Reason, by.N))
	}
	if len(all) == 0 {
		return ""
	}
	return " (left out: " + OneLine(strings.Join(all, ", ")) + ")"
}
