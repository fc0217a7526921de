package edge

import (
	"semper/edge/config"
)

// What Configure takes. See package config.
type (
	Config        = config.Config
	PoolConfig    = config.Pool
	Upstream      = config.Upstream
	ProbeConfig   = config.Probe
	OutlierConfig = config.Outlier
	StickyKeys    = config.StickyKeys
	Terms         = config.Terms
)

// DefaultPool is a pool that says nothing but where.
func DefaultPool(addresses ...string) PoolConfig { return config.DefaultPool(addresses...) }
