package pipeline

import (
	"fmt"
	"strings"
	"time"

	"semper"
	"semper/pipeline/window"
)

// A Lack is a statement that an environment requires and that is not there, or does not count.
type Lack struct {
	Requirement string `json:"requirement"` // "beta/tests"
	Why         string `json:"why"`
	Do          string `json:"do"`
}

// backdated is how far in the future a statement may be and still be taken for one of the past.
const backdated = time.Minute

// Lacking is what about has not proven of what a stage requires, at a time.
func Lacking(p semper.Pipeline, s semper.Stage, about Subject, proofs []Proof, now time.Time) []Lack {
	var out []Lack
	for _, requirement := range s.Requires {
		g, of, ok := find(p, requirement)
		if !ok {
			out = append(out, Lack{requirement, "the pipeline has no such gate", "mend the pipeline"})
			continue
		}
		why := "it has not passed it"
		for _, proof := range proofs {
			w := counts(proof, p.App, of, g, about, now)
			if w == "" {
				why = ""
				break
			}
			if w != otherwise {
				why = w
			}
		}
		if why != "" {
			out = append(out, Lack{requirement, why, remedy(g)})
		}
	}
	return out
}

// find is the gate that a requirement names.
func find(p semper.Pipeline, requirement string) (g semper.Gate, environment string, ok bool) {
	environment, name, _ := strings.Cut(requirement, "/")
	s, ok := StageOf(p, environment)
	if !ok {
		return g, environment, false
	}
	for _, g := range s.Gates {
		if g.Name == name {
			return g, environment, true
		}
	}
	return g, environment, false
}

// StageOf is the stage of an environment.
func StageOf(p semper.Pipeline, environment string) (semper.Stage, bool) {
	for _, s := range p.Stages {
		if s.Environment == environment {
			return s, true
		}
	}
	return semper.Stage{}, false
}

// otherwise: the proof is of something else.
const otherwise = "-"

// counts says why a proof does not count for a gate; "" when it does.
func counts(p Proof, app, environment string, g semper.Gate, about Subject, now time.Time) string {
	switch {
	case p.App != app || p.Environment != environment || p.Gate != g.Name || p.About != about:
		return otherwise
	case p.Definition != g.Definition() || p.Kind != g.Kind:
		return "it passed the gate as it was before it was changed"
	case p.At.After(now.Add(backdated)):
		return fmt.Sprintf("it was passed at %s, which is to come: the clock was set back", p.At.UTC().Format(time.DateTime))
	case !p.Expires.IsZero() && !now.Before(p.Expires):
		return fmt.Sprintf("%s's yes expired at %s", p.By, p.Expires.UTC().Format(time.DateTime))
	}
	return ""
}

func remedy(g semper.Gate) string {
	if g.Kind == semper.GateApproval {
		return "semper pipeline approve"
	}
	return "semper pipeline run"
}

// Admit refuses a release that an environment must not have now; nil lets it in. proofs are those about the release. stopped says why the line is stopped, and is
// empty while it runs. The error is Forbidden where something is lacking, and Conflict where it is only the time.
func Admit(p semper.Pipeline, environment string, release semper.ReleaseName, about Subject, proofs []Proof, stopped string, now time.Time) error {
	s, ok := StageOf(p, environment)
	if !ok {
		return nil // an environment of no pipeline asks for nothing
	}
	if stopped != "" {
		return &semper.Error{Code: semper.Conflict, Op: "deploy", Message: "the line is stopped: " + stopped, Hint: "semper pipeline resume lets it go on"}
	}
	if lacks := Lacking(p, s, about, proofs, now); len(lacks) > 0 {
		words := make([]string, len(lacks))
		for i, l := range lacks {
			words[i] = fmt.Sprintf("%s (%s)", l.Requirement, l.Why)
		}
		return &semper.Error{
			Code: semper.Forbidden, Op: "deploy",
			Message: fmt.Sprintf("%s refuses %s: it lacks %s", environment, release, strings.Join(words, ", ")),
			Hint:    lacks[0].Do + "   an admin may leave the gates out, on the record: semper deploy --hotfix WHY",
		}
	}
	for _, g := range s.Gates {
		if open, next := isOpen(g, now); !open {
			return &semper.Error{
				Code: semper.Conflict, Op: "deploy",
				Message: fmt.Sprintf("%s is frozen (%s)%s", environment, frozen(g), untilWords(next)),
				Hint:    "wait, or change the window; an admin may deploy in it, on the record: semper deploy --hotfix WHY",
			}
		}
	}
	return nil
}

// isOpen reports whether a gate is no window, or one that is open, and when that changes; zero for never.
func isOpen(g semper.Gate, now time.Time) (bool, time.Time) {
	if g.Kind != semper.GateWindow || g.Window == nil {
		return true, time.Time{}
	}
	w, err := window.Parse(*g.Window)
	if err != nil {
		return false, time.Time{} // Check has refused it; whoever wrote it here does not get past it
	}
	next, _ := w.Next(now)
	return w.Open(now), next
}

func frozen(g semper.Gate) string {
	w, zone := *g.Window, g.Window.Zone
	if zone == "" {
		zone = "UTC"
	}
	switch {
	case w.Deny == "":
		return fmt.Sprintf("allowed: %s %s", w.Allow, zone)
	case w.Allow == "":
		return fmt.Sprintf("denied: %s %s", w.Deny, zone)
	}
	return fmt.Sprintf("allowed: %s, denied: %s %s", w.Allow, w.Deny, zone)
}

func untilWords(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return " until " + t.UTC().Format("Mon 2006-01-02 15:04 MST")
}
