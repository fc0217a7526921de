package keeper

import (
	"slices"

	"semper/keeper/journal"
	"semper/unit/process"
)

// An output is where what a process prints goes.
type output struct {
	path   string
	errors string // of standard error; "" where that is in path as well
}

// outputOf is where a member's processes print to.
func (k *keeper) outputOf(r journal.Record) output {
	switch {
	case r.Part != nil:
		return output{path: k.dir.PartLog(r.Name)}
	case r.Instance.Spec.Apart:
		id := r.Instance.Spec.ID
		return output{k.dir.InstanceLog(id), k.dir.InstanceErrors(id)}
	}
	return output{path: k.dir.InstanceLog(r.Instance.Spec.ID)}
}

// tail is the last lines: of standard error first, where that is apart, as it says why, and of the rest as many as are left.
func (o output) tail() []string {
	var tail []string
	if o.errors != "" {
		tail, _ = process.Tail(o.errors, tailLines, tailBytes) // no tail is no reason to say nothing
	}
	if left := tailLines - len(tail); left > 0 {
		rest, _ := process.Tail(o.path, left, tailBytes) // as above
		tail = slices.Concat(rest, tail)
	}
	return tail
}

// bounders keep the output of one member within its size on disk.
type bounders []*process.Bounder

// Close ends them and waits for it. It may be called more than once.
func (b bounders) Close() {
	for _, one := range b {
		one.Close()
	}
}

// bound keeps the output of a member within its size on disk: each of its files.
func (k *keeper) bound(r journal.Record) bounders {
	limit := int64(partLog)
	if r.Instance != nil {
		limit = r.Instance.Spec.Spec.Limits.Log
	}
	o := k.outputOf(r)
	b := bounders{process.LogBound(o.path, limit)}
	if o.errors != "" {
		b = append(b, process.LogBound(o.errors, limit))
	}
	return b
}
