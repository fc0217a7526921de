package keeper

import (
	"time"

	"semper/api"
)

// upgradeLog is DIR/keeper/upgrade.json: everything about the newest upgrade, so that any client and
// any keeper after this one can tell how far it is.
type upgradeLog struct {
	ID      string            `json:"id"`
	Binary  string            `json:"binary"` // the copy below DIR/bin
	Begun   time.Time         `json:"begun"`
	Ended   time.Time         `json:"ended,omitzero"`
	Steps   []api.UpgradeStep `json:"steps"`
	Pending bool              `json:"pending,omitempty"` // the keeper has been replaced, its parts not yet
}

func (l upgradeLog) done() bool { return l.ID == "" || !l.Ended.IsZero() }
