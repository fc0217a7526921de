package node

import (
	"strings"
	"testing"

	"semper"
	"semper/api"
	"semper/edge/metrics"
)

func TestWhatIsScaledIsMeasured(t *testing.T) {
	t.Parallel()
	text := string(metrics.Expose(false, scaleFamilies(map[semper.EnvironmentKey][]api.Scaling{
		"shop/production": {{App: "shop", Service: "web", Now: 3, Ready: 2, Need: 12, Min: 1, Max: 10, Load: 61.5, ByHand: true}},
	})...))
	for name, want := range map[string]string{
		"instances": "3", "ready_instances": "2", "needed_instances": "12", "min_instances": "1", "max_instances": "10", "requests": "61.5", "by_hand": "1",
	} {
		if line := `semper_scale_` + name + `{semper_app="shop",semper_pool="shop/production/web"} ` + want + "\n"; !strings.Contains(text, line) {
			t.Errorf("%s\nwant %s", text, line)
		}
	}
}
