package gate

import "time"

// A Key is what makes gates one: requests to a pool that may wait alike share its room.
type Key struct {
	Pool     string
	Length   int // these as in Options
	Deadline time.Duration
	Adaptive bool
}

// Gates are those of one table of routes, and, while that is made, of the one before: a gate that both have lives on, with who
// is in and who waits. Its owner brings the lock.
type Gates struct {
	now    func() int64
	pump   func(*Gate) bool
	gates  map[Key]*Gate
	before map[Key]*Gate
}

// NewGates are none. Their Options have now and pump.
func NewGates(now func() int64, pump func(*Gate) bool) *Gates { return &Gates{now: now, pump: pump} }

// Turn begins the next table.
func (s *Gates) Turn() { s.gates, s.before = make(map[Key]*Gate, len(s.gates)), s.gates }

// Of is the gate of k. critical says that requests of high priority come there, by this rule of the table or another.
func (s *Gates) Of(k Key, critical bool) *Gate {
	g := s.gates[k]
	if g != nil {
		if critical {
			g.Critical(true)
		}
		return g
	}
	if g = s.before[k]; g == nil {
		g = New(Options{Length: k.Length, Deadline: k.Deadline, Adaptive: k.Adaptive, Now: s.now, Pump: s.pump})
	}
	g.Critical(critical)
	s.gates[k] = g
	return g
}
