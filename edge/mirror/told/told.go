// Package told is what an edge tells of copies of requests.
//
// # Problem
//
// Who judges a shadow asks all edges, which come and go, again and again, and may miss some answers. So what an edge tells only grows, and
// says of which life of the edge it is: two readings and their difference are all that is needed.
//
// # What it does not do
//
// It is words for two sides, who count (package mirror) and who judge: nothing here does anything.
package told

import (
	"semper"
	"semper/verify/diff"
)

// Counts are what one edge has seen of the copies of one pool's requests since the edge began. They only grow:
//
//	sampled = skipped + dropped + pairs + still under way
type Counts struct {
	Edge    string             `json:"edge"` // as in [semper.ArmCounts]
	Pool    semper.PoolKey     `json:"pool"` // of the service
	Rollout string             `json:"rollout"`
	Release semper.ReleaseName `json:"release"` // the candidate
	Sampled uint64             `json:"sampled"` // requests that were to be copied
	// Skipped are those that are none to copy or to compare, and Dropped those for which there was no room or no answer: by reason.
	Skipped map[string]uint64 `json:"skipped,omitempty"`
	Dropped map[string]uint64 `json:"dropped,omitempty"`
	// Unanswered, of Pairs, had no whole answer of the candidate in time, and UnansweredAgain none of the second copy. Both are differences.
	Unanswered      uint64 `json:"unanswered,omitempty"`
	UnansweredAgain uint64 `json:"unanswered_again,omitempty"`
	// Pairs are answers of the candidate that were compared with what the client got, and Copies those with a second copy of
	// the current release beside. Of Copies, Candidate are those of which only the candidate's answer differs, Baseline those of which only the
	// second copy's does.
	Pairs     uint64 `json:"pairs"`
	Copies    uint64 `json:"copies,omitempty"`
	Candidate uint64 `json:"candidate,omitempty"`
	Baseline  uint64 `json:"baseline,omitempty"`
	Expected  uint64 `json:"expected,omitempty"` // differences that rules take
	// Slower, of Copies, are those whose candidate's copy took more than 1.1 times as long as the second one, Faster the other way round.
	Slower uint64 `json:"slower,omitempty"`
	Faster uint64 `json:"faster,omitempty"`
	// Places are by the order in which this edge found them. Lost are differences at places for which there was no room, Cut pairs
	// with more differences than are told of one.
	Places []diff.Tally `json:"places,omitempty"`
	Lost   uint64       `json:"lost,omitempty"`
	Cut    uint64       `json:"cut,omitempty"`
	Stale  []string     `json:"stale,omitempty"` // paths of the rules that expect what has not come
	// Latency is how long copies took at the candidate, LatencyAgain at the current release: a binary edge/sketch each.
	Latency      []byte `json:"latency,omitempty"`
	LatencyAgain []byte `json:"latency_again,omitempty"`
}
