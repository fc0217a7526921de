package edge

import (
	"semper/edge/plan"
)

// What Configure takes. See package plan.
type (
	Config        = plan.Config
	PoolConfig    = plan.Pool
	Upstream      = plan.Upstream
	ProbeConfig   = plan.Probe
	OutlierConfig = plan.Outlier
	StickyKeys    = plan.StickyKeys
	Terms         = plan.Terms
)

// DefaultPool is a pool that says nothing but where.
func DefaultPool(addresses ...string) PoolConfig { return plan.DefaultPool(addresses...) }
