package draw_test

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"semper/cli/draw"
	"semper/verify"
	"semper/verify/capture"
	"semper/verify/diff"
	"semper/verify/replay"
)

const replayPicture = `undecided (no-data)  nothing says what happens anyway

100 requests of shop.har sent to http://127.0.0.1:8081, 1 response compared with those of http://127.0.0.1:8080
2 left out: not HTTP
7 left out: unsafe method
3 without an answer of the candidate
1 sent later than they should: more of --concurrency, or less speed
median 2 ms, and the baseline's 1 ms; p99 20 ms, and 10 ms; slower in 5 pairs, faster in 1

PAIRS  NOISE  STATUS     ENDPOINT   PLACE       KIND     LIKE
4      0      different  GET /cart  body.price  changed  1 → 2
5      5      noise      GET /cart  body.id     changed
stale: the rule for body.gone never matched: what it declares did not come
`

func TestReplayToTheLetter(t *testing.T) {
	t.Parallel()
	r := &replay.Report{
		Sent: 100, Left: map[capture.Reason]int64{replay.Unsafe: 7, capture.NotHTTP: 2}, Unanswered: replay.Unanswered{Candidate: 3}, Late: 1,
		Latency: &replay.Latency{Candidate: replay.Quantiles{P50: 2 * time.Millisecond, P99: 20 * time.Millisecond}, Baseline: replay.Quantiles{P50: time.Millisecond, P99: 10 * time.Millisecond}, Slower: 5, Faster: 1},
		Board: diff.Board{Pairs: 1, Places: []*diff.Place{
			{Endpoint: "GET /cart", Path: diff.Path{"body", "id"}, Kind: diff.Changed, Seen: 5, Noise: 5},
			{Endpoint: "GET /cart", Path: diff.Path{"body", "price"}, Kind: diff.Changed, Seen: 4, Examples: []diff.Difference{{Path: diff.Path{"body", "price"}, Kind: diff.Changed, Was: "1", Is: "2"}}},
		}},
	}
	shown := draw.Replayed{
		File: "shop.har", Against: "http://127.0.0.1:8081", Baseline: "http://127.0.0.1:8080", Report: r, Statuses: []diff.Status{diff.Noisy, diff.Different},
		Stale:   []diff.Rule{{Path: "body.gone"}},
		Verdict: verify.Verdict{Outcome: verify.Undecided, Cause: verify.NoData, Why: "nothing says what happens anyway"},
	}
	var plain, painted bytes.Buffer
	draw.Replay(&plain, false, shown)
	draw.Replay(&painted, true, shown)
	if got := plain.String(); got != replayPicture {
		t.Errorf("got\n%s\nwant\n%s", got, replayPicture)
	}
	if strip(painted.String()) != replayPicture {
		t.Error("colour changes more than colour")
	}
	if got := draw.ReplayLine(false, r, 10*time.Second); got != "100 sent, 10/s, 9 left out, 3 without an answer, differences at 2 places" {
		t.Error(got)
	}
	if got := draw.ReplayLine(false, new(replay.Report), 0); !strings.HasPrefix(got, "0 sent") {
		t.Error(got)
	}
}
