package balance

import (
	"slices"
	"testing"
)

func TestTried(t *testing.T) {
	t.Parallel()
	var tried Tried
	backends := make([]*Backend, 6)
	for i := range backends {
		backends[i] = new(Backend)
		tried.Add(backends[i])
		if tried.Add(backends[i]); !slices.Equal(tried.All(), backends[max(0, i-3):i+1]) {
			t.Errorf("after %d: each once, and the last four", i+1)
		}
	}
	other := tried
	other.Add(backends[0])
	if slices.Contains(tried.All(), backends[0]) {
		t.Error("a copy is not independent")
	}
}
