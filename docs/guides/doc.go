// Package guides has the code of the guides beside it, as examples that run. A root test checks that what a guide, or the
// README, shows of Go stands here.
package guides
