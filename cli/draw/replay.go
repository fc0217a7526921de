package draw

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"semper/verify"
	"semper/verify/diff"
	"semper/verify/replay"
)

// Replayed is what came of a recording that was sent again.
type Replayed struct {
	File     string `json:"file"`
	Against  string `json:"against"`
	Baseline string `json:"baseline,omitempty"` // empty: the recorded responses
	*replay.Report
	Statuses []diff.Status  `json:"statuses,omitempty"` // of the board's places, by their order
	Stale    []diff.Rule    `json:"stale_rules,omitempty"`
	Verdict  verify.Verdict `json:"verdict"`
}

// ReplayLine is how far a replay has come.
func ReplayLine(p Paint, r *replay.Report, took time.Duration) string {
	s := fmt.Sprintf("%d sent", r.Sent)
	if seconds := took.Seconds(); seconds >= 1 {
		s += fmt.Sprintf(", %.3g/s", float64(r.Sent)/seconds)
	}
	if n := leftOut(r); n > 0 {
		s += fmt.Sprintf(", %d left out", n)
	}
	if n := r.Unanswered.Candidate; n > 0 {
		s += ", " + p.Bad(fmt.Sprintf("%d without an answer", n))
	}
	if n := len(r.Board.Places); n > 0 {
		s += ", differences at " + p.Warn(Plural(n, "place"))
	}
	return s
}

func leftOut(r *replay.Report) (n int64) {
	for _, k := range r.Left {
		n += k
	}
	return n
}

// Replay prints the verdict, what was sent and what not, and where responses differ: noise last.
func Replay(w io.Writer, p Paint, r Replayed) {
	fmt.Fprintf(w, "%s  %s\n\n", outcome(p, r.Verdict), p.Bold(OneLine(r.Verdict.Why)))
	reference := "the recorded responses"
	if r.Baseline != "" {
		reference = "those of " + OneLine(r.Baseline)
	}
	fmt.Fprintf(w, "%s of %s sent to %s, %s compared with %s\n", Plural(int(r.Sent), "request"), OneLine(r.File), OneLine(r.Against), Plural(int(r.Board.Pairs), "response"), reference)
	for _, s := range omissions(r.Report) {
		fmt.Fprintf(w, "%s\n", p.Dim(s))
	}
	if l := r.Latency; l != nil {
		fmt.Fprintf(w, "median %s, and the baseline's %s; p99 %s, and %s; slower in %d pairs, faster in %d\n",
			millis(l.Candidate.P50.Seconds()), millis(l.Baseline.P50.Seconds()), millis(l.Candidate.P99.Seconds()), millis(l.Baseline.P99.Seconds()), l.Slower, l.Faster)
	}
	if len(r.Board.Places) > 0 {
		fmt.Fprintln(w)
		places(w, p, r)
	}
	for _, rule := range r.Stale {
		fmt.Fprintf(w, "%s the rule for %s never matched: what it declares did not come\n", p.Warn("stale:"), OneLine(rule.Path))
	}
}

// omissions are what was not sent or not compared, or not as it should, in words.
func omissions(r *replay.Report) (all []string) {
	for _, why := range slices.Sorted(maps.Keys(r.Left)) {
		all = append(all, fmt.Sprintf("%d left out: %s", r.Left[why], why))
	}
	for _, o := range []struct {
		n    int64
		what string
	}{
		{r.Unanswered.Candidate, "without an answer of the candidate"}, {r.Unanswered.Baseline, "without an answer of the baseline, not compared"},
		{r.Unanswered.Copy, "without a second answer of the baseline"}, {r.Unrecorded, "without a recorded response, not compared"},
		{r.Large, "with a response too large to keep, compared by length and hash"}, {r.Late, "sent later than they should: more of --concurrency, or less speed"},
		{r.Board.Cut, "with more differences than are told of one"}, {r.Board.Lost, "differences at more places than are kept"},
	} {
		if o.n > 0 {
			all = append(all, fmt.Sprintf("%d %s", o.n, o.what))
		}
	}
	return all
}

// places are a table of where responses differ, by how much that says.
func places(w io.Writer, p Paint, r Replayed) {
	order := []diff.Status{diff.Different, diff.Novel, diff.Unknown, diff.Noisy}
	g := Grid{{p.Dim("PAIRS"), p.Dim("NOISE"), p.Dim("STATUS"), p.Dim("ENDPOINT"), p.Dim("PLACE"), p.Dim("KIND"), p.Dim("LIKE")}}
	for _, status := range order {
		for i, place := range r.Board.Places {
			if r.Statuses[i] != status {
				continue
			}
			like := ""
			if len(place.Examples) > 0 {
				e := place.Examples[0]
				like = strings.TrimPrefix(e.String(), e.Path.String()+" "+string(e.Kind)+": ")
			}
			g.Row(fmt.Sprint(place.Seen), fmt.Sprint(place.Noise), statusWord(p, status), OneLine(place.Endpoint), OneLine(place.Path.String()), string(place.Kind), OneLine(like))
		}
	}
	g.Write(w)
}

func statusWord(p Paint, s diff.Status) string {
	switch s {
	case diff.Different:
		return p.Bad(string(s))
	case diff.Novel, diff.Unknown:
		return p.Warn(string(s))
	}
	return p.Dim(string(s))
}
