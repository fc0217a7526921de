package keeper

import "context"

// Run is the keeper: it returns when it has been told to end.
func Run(ctx context.Context, o Options) error {
	<-ctx.Done()
	return nil
}
