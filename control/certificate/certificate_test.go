package certificate

import (
	"slices"
	"strings"
	"testing"
	"time"

	"semper"
	"semper/api"
)

var certTable = semper.Table{Routes: []semper.Route{
	{Host: "a.test", Path: "/", Pool: "bar/production/web"}, {Host: "b.test", Path: "/", Pool: "foo/beta/web"},
}}

// TestCertificateEvents: what is new is told once, and trouble also by a control process that has just begun.
func TestCertificateEvents(t *testing.T) {
	t.Parallel()
	at, end := time.Date(2026, 11, 21, 0, 0, 0, 0, time.UTC), time.Date(2027, 2, 1, 0, 0, 0, 0, time.UTC)
	well := api.Certificate{Host: "a.test", Source: "acme", NotAfter: end}
	renewed := api.Certificate{Host: "a.test", Source: "acme", NotAfter: end.AddDate(0, 2, 0)}
	local := api.Certificate{Host: "a.test", Source: "local"}
	failing := api.Certificate{Host: "a.test", Source: "local", Error: "HTTP 400\nno such name", Advice: "make a record"}
	differs := failing
	differs.Error = "HTTP 400\nno such name, nonce 17"
	limited := failing
	limited.Advice = "wait"
	one := func(c ...api.Certificate) []api.Certificate { return append([]api.Certificate{}, c...) }
	for _, c := range []struct {
		name        string
		before, now []api.Certificate
		want        string
	}{
		{"the first look, all is well", nil, one(well), ""},
		{"the first look, trouble", nil, one(failing), "certificate.failed"},
		{"it came", one(), one(well), "certificate.served"},
		{"it came after trouble", one(failing), one(well), "certificate.served"},
		{"nothing new", one(well), one(well), ""},
		{"renewed", one(well), one(renewed), "certificate.served"},
		{"made as it is asked for", one(), one(local), ""},
		{"trouble begins", one(local), one(failing), "certificate.failed"},
		{"the same trouble in other words", one(failing), one(differs), ""},
		{"another trouble", one(failing), one(limited), "certificate.failed"},
		{"gone", one(well), one(), ""},
	} {
		got := Events(c.before, c.now, certTable, at)
		kinds := make([]string, len(got))
		for i, e := range got {
			kinds[i] = e.Kind
			if e.App != "bar" || e.Environment != "production" || strings.Contains(e.Message, "\n") || !strings.Contains(e.Message, "a.test") {
				t.Errorf("%s: %+v", c.name, e)
			}
			if e.Kind == "certificate.failed" && !strings.Contains(e.Message, c.now[0].Advice) {
				t.Errorf("%s: it does not say what to do: %s", c.name, e.Message)
			}
		}
		if strings.Join(kinds, " ") != c.want {
			t.Errorf("%s: %q, want %q", c.name, kinds, c.want)
		}
	}
}

func TestCertificateWarningsAreTheEnvironments(t *testing.T) {
	t.Parallel()
	list := []api.Certificate{
		{Host: "a.test", Source: "local", Error: "no", Advice: "make a record", Next: time.Date(2026, 11, 21, 10, 0, 0, 0, time.UTC)},
		{Host: "b.test", Source: "acme", NotAfter: time.Now().Add(-time.Hour)},
		{Host: "c.test", Source: "acme", NotAfter: time.Now().Add(time.Hour)},
	}
	got := Warnings(list, certTable, semper.Environment{App: "bar", Name: "production"})
	if len(got) != 1 || !strings.Contains(got[0], "a.test") || !strings.Contains(got[0], "make a record") || !strings.Contains(got[0], "10:00:00Z") {
		t.Errorf("%q", got)
	}
	got = Warnings(list, certTable, semper.Environment{App: "foo", Name: "beta"})
	if len(got) != 1 || !strings.Contains(got[0], "b.test ended at") {
		t.Errorf("%q", got)
	}
	checks := Checks(list)
	statuses := make([]string, len(checks))
	for i, c := range checks {
		statuses[i] = c.Status
	}
	if !slices.Equal(statuses, []string{"fail", "fail", "ok"}) {
		t.Errorf("%+v", checks)
	}
}
