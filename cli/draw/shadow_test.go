package draw

import (
	"bytes"
	"strings"
	"testing"

	"semper/api"
	"semper/edge/mirror/told"
	"semper/verify/diff"
)

func TestShadowTellsWhatIsProvenFirst(t *testing.T) {
	t.Parallel()
	s := &api.JudgedShadow{Counts: told.Counts{Sampled: 50, Pairs: 40, Copies: 40, Skipped: map[string]uint64{"range": 3}, Dropped: map[string]uint64{"busy": 7}, Stale: []string{"body.gone"}}}
	for range 20 {
		s.Places = append(s.Places, api.JudgedPlace{Tally: diff.Tally{Endpoint: "GET /", Path: diff.Path{"body", "id"}, Seen: 40, Noise: 40}, Status: diff.Noisy})
	}
	s.Places = append(s.Places, api.JudgedPlace{
		Tally: diff.Tally{Endpoint: "GET /", Path: diff.Path{"body", "price"}, Seen: 40, Examples: []diff.Difference{{Was: "1", Is: "2"}}}, Status: diff.Different,
	})
	var b bytes.Buffer
	shadow(&b, Paint(false), s)
	got := b.String()
	price, id := strings.Index(got, "body.price"), strings.Index(got, "body.id")
	if price < 0 || price > id {
		t.Errorf("what is proven stands behind noise:\n%s", got)
	}
	for _, want := range []string{"1 → 2", "range 3, busy 7", "and 11 places more", "never came: body.gone"} {
		if !strings.Contains(got, want) {
			t.Errorf("%q is missing in:\n%s", want, got)
		}
	}
}
