package etcd

import "semper/queue/etcd/record"

// The records, by the names they have here.
type (
	meta   = record.Meta
	state  = record.State
	result = record.Result
	over   = record.Over
	known  = record.Known
	notice = record.Notice
)
