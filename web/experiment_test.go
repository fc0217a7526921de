package web

import (
	"net/http"
	"strings"
	"testing"

	"semper/experiment"
	"semper/experiment/design"
)

func TestExperimentPage(t *testing.T) {
	t.Parallel()
	h := Handler(stage(t))
	list := body(t, get(t, h, "/app/shop/production"))
	for _, want := range []string{`href="/experiment/shop/production/checkout"`, "decided: green", "12,381 users", "4.0 % more revenue"} {
		if !strings.Contains(list, want) {
			t.Errorf("the app's page has no %q", want)
		}
	}
	if other := body(t, get(t, h, "/app/blog/production")); strings.Contains(other, "checkout") {
		t.Error("another app's page has it too")
	}
	text := body(t, get(t, h, "/experiment/shop/production/checkout"))
	for _, want := range []string{
		"4.0 % more revenue per user", "6,180", "49.9 %", "as far as can be told", "&#43;4.0 % (&#43;1.0 to &#43;7.0), better", "No value of refund has arrived", "no data",
		"&lt;script&gt;", "For looking", "semper experiment promote checkout green -a shop",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
	if strings.Contains(text, "NaN") || strings.Contains(text, "Inf") {
		t.Error("a figure that is none")
	}
	if res := get(t, h, "/experiment/shop/production/none"); res.StatusCode != http.StatusNotFound {
		t.Errorf("of one that is not there: %s", res.Status)
	}
}

// TestExperimentOfLittle: before anybody came, and when users do not fall as declared.
func TestExperimentOfLittle(t *testing.T) {
	t.Parallel()
	x := tried("shop")
	x.State, x.Why, x.Winner = design.Running, "", ""
	x.Report = &experiment.Report{Outcome: experiment.NoData, Why: "nobody", Variants: []experiment.VariantReport{{Name: "control", Share: .2}, {Name: "green", Share: .1}}, Findings: []experiment.Finding{{Metric: "revenue", Variant: "green"}}}
	shares := sharesOf(x.Report)
	if shares[0].Part != "–" || shares[0].Bar.W != 0 || shares[0].Want != 997 || shares[1].Want != 500 {
		t.Errorf("%+v", shares)
	}
	if e := effects(x.Report.Findings); e.Rows[0].Known || e.Scale != "" || e.Rows[0].Words != "no data" {
		t.Errorf("%+v", e)
	}
	if got := strings.Join(experimentCommands(x), "; "); !strings.Contains(got, "promote checkout control|green -a shop") {
		t.Error(got)
	}
	x.Report.Outcome, x.Report.Mismatch = experiment.Mismatch, 1e6
	if m := experimentMark(x); m.Tone != "bad" || !strings.Contains(mismatchSays(x.Report), "do not fall") {
		t.Errorf("%+v: %s", m, mismatchSays(x.Report))
	}
}
