package draw

import (
	"fmt"
	"math"
	"strconv"
	"time"

	"semper"
	"semper/api"
)

// Share is a part of the requests as a person reads it: "2.5 %".
func Share(share float64) string {
	return strconv.FormatFloat(math.Round(share*1e6)/1e4, 'f', -1, 64) + " %"
}

// Step is one step of a release's way in words.
func Step(s semper.Step) string {
	out := "pause"
	switch s.Kind {
	case semper.StepShadow:
		out = "copies of " + Share(s.Share) + " of the requests"
	case semper.StepTraffic:
		out = Share(s.Share) + " of the requests"
	}
	if s.For > 0 {
		out += ", " + Span(s.For.D()) + " at least"
	}
	if s.Requests > 0 {
		out += fmt.Sprintf(", %d requests of each side", s.Requests)
	}
	return out
}

// trialLines tell of a release on trial: its step with the share it has, and what the judge says.
func trialLines(r api.RolloutStatus, p Paint, now time.Time) []string {
	t := r.Trial
	if t == nil || r.State.Live() || r.State.Ended() || t.Against == "" {
		return nil
	}
	line := p.Warn("⇄ trial") + "  "
	switch {
	case t.Over || t.Step >= len(r.Way):
		line += "all steps are passed; " + string(r.To) + " has " + Share(t.Share) + " of the requests"
	default:
		line += fmt.Sprintf("step %d of %d: %s", t.Step+1, len(r.Way), Step(r.Way[t.Step]))
		if s := r.Way[t.Step]; s.Kind == semper.StepPause && t.Share > 0 {
			line += ", at " + Share(t.Share) + " of the requests"
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
