package judging_test

import (
	"testing"
	"time"

	"semper"
	"semper/edge/mirror/told"
	"semper/verify/diff"
)

// An edge tells its examples from its first difference on. Those that it met while nothing counted yet are the ones that are shown, and
// one that is told at every look is shown once.
func TestExamplesOfTheWarmUpAreShown(t *testing.T) {
	t.Parallel()
	terms := terms()
	terms.Shadow, terms.Judge.WarmUp = true, semper.Duration(5*time.Second)
	w := newWorld(1, behaviour{}, behaviour{})
	w.step, w.share, w.rate = semper.Step{Kind: semper.StepShadow, Share: .1, For: semper.Duration(10 * time.Second), Requests: 100}, 0, 0
	j := newJudge(t, terms)
	like := []diff.Difference{{Path: diff.Path{"body", "price"}, Kind: diff.Changed, Was: "10", Is: "11"}, {Path: diff.Path{"body", "price"}, Kind: diff.Changed, Was: "20", Is: "22"}}
	for i := range 12 {
		w.second()
		l := w.look()
		c := shadow("d-7", 5*uint64(i+1), int64(i+1))
		c.Places[1].Examples = like[:1]
		if i > 8 {
			c.Places[1].Examples = like
		}
		l.Shadows = []told.Counts{c}
		if _, err := j.Look(l); err != nil {
			t.Fatal(err)
		}
		if places := j.Record().Shadowed.Board.Places; i < 4 && len(places) > 0 {
			t.Errorf("after %d s %d places count, and the warm-up is 5 s", i+1, len(places))
		}
	}
	for _, p := range j.Record().Shadowed.Board.Places {
		if p.Path.String() == "body.price" {
			if len(p.Examples) != 2 || p.Examples[0].Is != "11" || p.Examples[1].Is != "22" || p.Seen >= 12 || p.Seen == 0 {
				t.Errorf("%+v", p)
			}
			return
		}
	}
	t.Error("the difference is not told")
}
