package wire

import (
	"time"

	"semper/api"
)

// An UpgradeLog is DIR/keeper/upgrade.json: everything about the newest upgrade, so that any client and
// any keeper after this one can tell how far it is.
type UpgradeLog struct {
	ID      string            `json:"id"`
	Binary  string            `json:"binary"` // the copy below DIR/bin
	Begun   time.Time         `json:"begun"`
	Ended   time.Time         `json:"ended,omitzero"`
	Steps   []api.UpgradeStep `json:"steps"`
	Pending bool              `json:"pending,omitempty"` // the keeper has been replaced, its parts not yet
}

// Done reports whether the upgrade has ended, or there never was one.
func (l UpgradeLog) Done() bool { return l.ID == "" || !l.Ended.IsZero() }
