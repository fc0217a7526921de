package epoch

import "testing"

// TestEveryInterleaving proves the protocol for up to three requests and three changes.
func TestEveryInterleaving(t *testing.T) {
	t.Parallel()
	for _, p := range plans {
		t.Run(p.name, func(t *testing.T) {
			t.Parallel()
			requests := maxRequests
			if raceEnabled || testing.Short() { // one goroutine, which the detector only makes slow
				requests = 2
			}
			m := model{plan: p, requests: requests}
			states, v := m.explore()
			if v != nil {
				t.Fatal(v)
			}
			t.Logf("%d states of %d requests", states, requests)
		})
	}
}

// TestTheModelFindsFaults shows that the invariants are not empty: each step that the protocol could be thought to do
// without breaks one of them.
func TestTheModelFindsFaults(t *testing.T) {
	t.Parallel()
	for _, mutation := range mutations {
		t.Run(mutation, func(t *testing.T) {
			t.Parallel()
			for _, p := range plans {
				m := model{plan: p, requests: 2, mutation: mutation}
				if _, v := m.explore(); v != nil {
					t.Logf("%s: %v", p.name, v)
					return
				}
			}
			t.Error("no plan shows what is wrong")
		})
	}
}
