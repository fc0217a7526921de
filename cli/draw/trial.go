package draw

import (
	"fmt"
	"time"

	"semper"
	"semper/api"
	"semper/internal/stepwords"
)

// trialLines tell of a release on trial: its step with the share it has, and what the judge says.
func trialLines(r api.RolloutStatus, p Paint, now time.Time) []string {
	t := r.Trial
	if t == nil || r.State.Live() || r.State.Ended() || t.Against == "" {
		return nil
	}
	line := p.Warn("⇄ trial") + "  "
	switch {
	case t.Over || t.Step >= len(r.Way):
		line += "all steps are passed; " + string(r.To) + " has " + stepwords.Share(t.Share) + " of the requests"
	default:
		line += fmt.Sprintf("step %d of %d: %s", t.Step+1, len(r.Way), stepwords.Sentence(r.Way[t.Step]))
		if s := r.Way[t.Step]; s.Kind == semper.StepPause && t.Share > 0 {
			line += ", at " + stepwords.Share(t.Share) + " of the requests"
		}
	}
	if !t.Since.IsZero() {
		line += p.Dim("  " + Span(now.Sub(t.Since)))
	}
	if t.Paused {
		line += "  " + p.Warn("paused")
		if t.PausedBy != "" {
			line += " by " + OneLine(t.PausedBy)
		}
	}
	out := []string{line}
	if v := t.Verdict; v != nil {
		out = append(out, "  "+verdictMark(p, v.Outcome)+" "+p.Bold(string(v.Outcome))+p.Dim(" against the "+baselineWord(v.Baseline))+": "+OneLine(v.Why))
	}
	return out
}

func verdictMark(p Paint, o semper.Outcome) string {
	switch o {
	case semper.BetterOrEqual:
		return p.Good("✓")
	case semper.Worse:
		return p.Bad("✗")
	}
	return p.Dim("…")
}

func baselineWord(b semper.Baseline) string {
	if b == semper.BaselineFresh {
		return "fresh baseline"
	}
	return "stable instances"
}
