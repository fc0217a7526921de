package keeper

import (
	"semper"
	"semper/keeper/allot"
	"semper/keeper/journal"
)

// once tells what is never started again, by whatever it ended: what it did half it would do twice.
func once(r journal.Record) bool {
	return r.Instance != nil && r.Instance.Spec.Spec.Restart == semper.Temporary
}

// committed writes down that m's incarnation is about to begin, where there is to be no other: a keeper that dies in the middle leaves
// to its successor something that has begun, and may be over.
func (k *keeper) committed(m *member) error {
	k.mu.Lock()
	if !once(m.rec) {
		k.mu.Unlock()
		return nil
	}
	m.rec.Boot = k.boot
	rec := m.copyLocked()
	k.mu.Unlock()
	if err := k.journal.PutSync(rec); err != nil {
		return &semper.Error{Code: allot.DiskCode(err), Op: "start " + rec.Name, Message: "its start cannot be journaled", Err: err}
	}
	return nil
}
