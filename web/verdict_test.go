package web

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"semper"
	"semper/api"
	"semper/api/apitest"
)

func visit(t *testing.T, s api.Service, path string) *httptest.ResponseRecorder {
	t.Helper()
	w := httptest.NewRecorder()
	Handler(s).ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, nil))
	return w
}

func TestVerdictPage(t *testing.T) {
	t.Parallel()
	s := apitest.New()
	defer s.Close()
	began := time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
	s.Judge(apitest.Judged("bar", began))
	w := visit(t, s, "/verdict/bar/production/d-7")
	body := w.Body.String()
	for _, want := range []string{
		"at least 2.1 times as many", "traffic 5 %", "Share of the requests", "Errors", "Latency, p99", "Memory per instance", "Evidence", `class="band"`, "there it is worse 111",
	} {
		if !strings.Contains(body, want) {
			t.Errorf("the page has no %q", want)
		}
	}
	if w.Code != http.StatusOK || strings.Contains(body, "style=") || strings.Contains(body, "NaN") || strings.Contains(body, "<script>") {
		t.Errorf("status %d, or something that the policy refuses, in\n%s", w.Code, body)
	}
	if w := visit(t, s, "/verdict/bar/production/d-8"); w.Code != http.StatusNotFound {
		t.Errorf("of a rollout that nobody judged: %d", w.Code)
	}
}

// What is looked at every tenth second is drawn as one line, from the first look on, also where that one took no time.
func TestReadingsHoldUntilTheNext(t *testing.T) {
	t.Parallel()
	began := time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
	j := api.Judgement{}
	for i := range 4 {
		at := began.Add(time.Duration(i) * time.Second)
		p := api.JudgedPoint{From: at, To: at.Add(time.Second), E: 1}
		if i == 1 {
			p.Candidate.Memory, p.Candidate.P99 = 1<<20, semper.Duration(time.Second)
		}
		j.Series = append(j.Series, p)
	}
	for _, c := range charts(&j) {
		switch want := map[string]string{"Memory per instance": "250.0,2.0 500.0,2.0 500.0,2.0 750.0,2.0 750.0,2.0 1000.0,2.0", "Latency, p99": "250.0,2.0 500.0,2.0"}[c.Title]; {
		case want == "":
		case len(c.Lines) != 1 || strings.Join(c.Lines[0].Parts, "|") != want:
			t.Errorf("%s: %+v, and not %s", c.Title, c.Lines, want)
		}
	}
}

func TestVerdictPageOfAShadow(t *testing.T) {
	t.Parallel()
	s := apitest.New()
	defer s.Close()
	j := apitest.Shadowed("bar", time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC))
	j.Shadow.Places[3].Examples[0].Was = hostile
	s.Judge(j)
	body := visit(t, s, "/verdict/bar/production/d-7").Body.String()
	at := -1
	for _, want := range []string{ // in this order: what is proven, what is new, and noise by how often it was seen
		"1,500 copies", "What copies of requests show", "1,498 answers", "1,520 requests", "method 15, range 4, busy 3", "body.total.vat", ">body.items[*].price<", ">different<", ">1999<",
		">body.owner.email<", ">new<", "(masked, 31 characters)", ">body.at<", ">noise<", ">body.tags<",
	} {
		next := strings.Index(body, want)
		if next <= at && next != at {
			t.Errorf("%q is missing, or stands elsewhere", want)
		}
		at = max(at, next)
	}
	if strings.Contains(body, "<script>") || strings.Contains(body, "style=") {
		t.Errorf("something that the policy refuses in\n%s", body)
	}
}

// A judge that has seen nothing yet has little to show, and what apps are called is text.
func TestVerdictPageOfLittle(t *testing.T) {
	t.Parallel()
	s := apitest.New()
	defer s.Close()
	began := time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
	point := api.JudgedPoint{From: began, To: began, High: 1}
	s.Judge(api.Judgement{
		App: "bar", Environment: "production", Rollout: "d-1", Verdict: semper.Verdict{Outcome: semper.Undecided, Cause: "no-data", Why: "<b>no</b>"},
		Series: []api.JudgedPoint{point, point},
	})
	body := visit(t, s, "/verdict/bar/production/d-1").Body.String()
	if strings.Contains(body, "<b>no") || strings.Contains(body, "NaN") || !strings.Contains(body, "undecided: no-data") {
		t.Error(body)
	}
}

func TestDraw(t *testing.T) {
	t.Parallel()
	began := time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
	j := apitest.Judged("bar", began)
	j.Series[10].Candidate = api.ArmReading{} // nothing is known of it
	for _, c := range charts(&j) {
		for _, l := range c.Lines {
			if gap := l.Class == "candidate" && !strings.HasPrefix(c.Title, "Share") && !strings.HasPrefix(c.Title, "Evidence") && !strings.HasPrefix(c.Title, "Memory"); gap != (len(l.Parts) == 2) {
				t.Errorf("%s: %s has %d parts", c.Title, l.Name, len(l.Parts))
			}
		}
		if len(c.Marks) != 1 || c.Marks[0] != 500 {
			t.Errorf("%s: the second step begins at %v", c.Title, c.Marks)
		}
	}
	j.Series = j.Series[:1]
	if got := charts(&j); got != nil {
		t.Errorf("one point makes %d charts", len(got))
	}
}
