package trace

import "encoding/binary"

// A Sampler picks a share of the traces, by their ids, so that all who ask about one trace with the same share agree. The
// zero Sampler picks none but those that are sampled already.
type Sampler struct {
	// share of the 2^56 values that the low 7 bytes of an id can have
	below uint64
}

// NewSampler picks the given share of traces, from 0 to 1.
func NewSampler(share float64) Sampler {
	return Sampler{below: uint64(min(max(share, 0), 1) * (1 << 56))}
}

// Keep reports whether c is picked: by its share, or because the caller says it is sampled. It is pure.
//
// The comparison is that of consistent probability sampling (OpenTelemetry): the largest values of the low 56 bits are kept,
// which are random when the context has the flag Random and practically always otherwise.
func (s Sampler) Keep(c Context) bool {
	if c.Flags&Sampled != 0 {
		return true
	}
	return s.picks(binary.BigEndian.Uint64(c.Trace[8:]))
}

// picks decides by the second half of a trace's id.
func (s Sampler) picks(id uint64) bool { return id&(1<<56-1) >= 1<<56-s.below }
