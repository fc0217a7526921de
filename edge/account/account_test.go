package account_test

import (
	"testing"

	"semper/edge/account"
	"semper/edge/front"
	"semper/edge/ledger"
)

// TestEveryOutcomeIsOneOfTheLedgers: none is forgotten, and who answered is told from who broke off.
func TestEveryOutcomeIsOneOfTheLedgers(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		status int
		how    front.Outcome
		want   ledger.End
	}{
		{200, front.Answered, ledger.Served}, {404, front.Answered, ledger.Served}, {500, front.Answered, ledger.AppErrors},
		{503, front.Refused, ledger.Shed}, {0, front.ClientGone, ledger.Gone}, {200, front.BrokenOff, ledger.EdgeErrors}, {200, front.CutOff, ledger.Cut},
	} {
		if got := account.End(tc.status, tc.how, ledger.Shed); got != tc.want {
			t.Errorf("%d, %v: %v, not %v", tc.status, tc.how, got, tc.want)
		}
	}
}
