package queues

import (
	"context"
	"fmt"
	"time"

	"semper"
	"semper/api"
)

// checkWithin bounds how long the engine is waited for: whoever asks looks for what is wrong.
const checkWithin = 5 * time.Second

// CheckQueues tells whether the engine of the queues can be used, and in its own words why not.
func (d Desk) CheckQueues(ctx context.Context) api.Check {
	ctx, cancel := context.WithTimeout(ctx, checkWithin)
	defer cancel()
	all, err := d.list(ctx)
	if err != nil {
		hint := semper.HintOf(err)
		if hint == "" {
			hint = "semper queue list says whether it is over; DATA/keeper/parts/queue-1.log has more"
		}
		return api.Check{Name: "queues", Status: "fail", Detail: err.Error(), Hint: hint}
	}
	return api.Check{Name: "queues", Status: "ok", Detail: fmt.Sprintf("%d known", len(all))}
}
