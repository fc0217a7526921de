// Package stepwords says what a step of a rollout is, for people.
//
// # Problem
//
// The plan, the rollout's own history, the terminal and the page all name steps. Said in several places they come to differ, and who
// compares two of them takes one step for another.
//
// # What it will not do
//
// It says what was declared, not how far a rollout is with it.
package stepwords

import (
	"fmt"
	"math"
	"strconv"

	"semper"
)

// Sentence is all that a step declares: "25 % of the requests, 10m0s at least, 1000 requests of each side".
func Sentence(s semper.Step) string {
	out := "pause"
	switch s.Kind {
	case semper.StepShadow:
		out = "copies of " + Share(s.Share) + " of the requests"
	case semper.StepTraffic:
		out = Share(s.Share) + " of the requests"
	}
	if s.For > 0 {
		out += fmt.Sprintf(", %s at least", s.For)
	}
	if s.Requests > 0 {
		out += fmt.Sprintf(", %d requests of each side", s.Requests)
	}
	return out
}

// Name is a step's kind and share: "traffic 5 %". What is judged after the last step has no kind.
func Name(kind semper.StepKind, share float64) string {
	switch kind {
	case "":
		return "all traffic"
	case semper.StepPause:
		return "pause"
	}
	return string(kind) + " " + Share(share)
}

// Share is a part of the requests, to a ten thousandth of a percent: "2.5 %".
func Share(share float64) string {
	return strconv.FormatFloat(math.Round(share*1e6)/1e4, 'f', -1, 64) + " %"
}
