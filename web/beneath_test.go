package web

import (
	"context"
	"net/http"
	"strings"
	"testing"

	"semper/api"
)

// warned is a semper on a machine that cannot give what its instances ask for.
type warned struct{ api.Service }

func (w warned) Overview(ctx context.Context) (api.Overview, error) {
	o, err := w.Service.Overview(ctx)
	for i := range o.Environments {
		for k := range o.Environments[i].Instances {
			in := &o.Environments[i].Instances[k]
			in.Warning = "no memory limit: " + strings.Repeat("/sys/fs/cgroup", 9) + hostile
		}
	}
	return o, err
}

// TestWarningsStandBeneath: what is told of an instance has a row of its own, as wide as the table, which is never wider for it.
func TestWarningsStandBeneath(t *testing.T) {
	t.Parallel()
	for path, rows := range map[string]int{"/app/shop/production": 2, "/app/blog/production": 2} {
		resp := get(t, Handler(warned{stage(t)}), path)
		if resp.StatusCode != http.StatusOK {
			t.Fatalf("%s: %s", path, resp.Status)
		}
		page := body(t, resp)
		_, table, _ := strings.Cut(page, "<h2>Instances</h2>")
		table, _, _ = strings.Cut(table, "</table>")
		columns := strings.Count(table, `role="columnheader"`)
		if columns != 8 || strings.Count(table, `<td role="cell" colspan="8"><p class="quiet">no memory limit`) != rows {
			t.Errorf("%s: %d columns, and of its instances:\n%s", path, columns, table)
		}
		if strings.Contains(page, hostile) {
			t.Errorf("%s runs what an instance is told of", path)
		}
	}
}
