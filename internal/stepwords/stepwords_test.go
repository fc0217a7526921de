package stepwords_test

import (
	"testing"
	"time"

	"semper"
	"semper/internal/stepwords"
)

func TestWords(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		step           semper.Step
		name, sentence string
	}{
		{semper.Step{Kind: semper.StepTraffic, Share: .025, For: semper.Duration(time.Minute), Requests: 7}, "traffic 2.5 %", "2.5 % of the requests, 1m0s at least, 7 requests of each side"},
		{semper.Step{Kind: semper.StepShadow, Share: .1}, "shadow 10 %", "copies of 10 % of the requests"},
		{semper.Step{Kind: semper.StepTraffic, Share: .001}, "traffic 0.1 %", "0.1 % of the requests"},
		{semper.Step{Kind: semper.StepPause}, "pause", "pause"},
	} {
		if name, sentence := stepwords.Name(tc.step.Kind, tc.step.Share), stepwords.Sentence(tc.step); name != tc.name || sentence != tc.sentence {
			t.Errorf("%q and %q, not %q and %q", name, sentence, tc.name, tc.sentence)
		}
	}
	if got := stepwords.Name("", 1); got != "all traffic" {
		t.Errorf("the watch is %q", got)
	}
}
