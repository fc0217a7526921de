package checks_test

import (
	"strings"
	"testing"
	"time"

	"semper"
	"semper/api"
	"semper/control/checks"
	"semper/pipeline/course"
	"semper/task"
)

func TestAppend(t *testing.T) {
	t.Parallel()
	production := semper.Environment{App: "shop", Name: "production", Rollout: &semper.Rollout{ID: "d-7", To: "r8", State: semper.RolloutTrial}}
	over := semper.Environment{App: "shop", Name: "beta", Rollout: &semper.Rollout{ID: "d-6", To: "r8", State: semper.RolloutDone}}
	all := checks.Judged(
		map[semper.EnvironmentKey]semper.Environment{production.Key(): production, over.Key(): over},
		map[semper.EnvironmentKey]semper.Verdict{
			production.Key(): {Outcome: semper.Undecided, E: 2.5, Limit: 111, Rollout: "d-7"},
			over.Key():       {Outcome: semper.BetterOrEqual, E: 1, Limit: 111, Rollout: "d-6"},
			"gone/for-ever":  {Outcome: semper.Worse, E: 200, Limit: 111},
		})
	run := func(number int64, begun time.Duration, state course.GateState) api.RunStatus {
		return api.RunStatus{Run: course.Run{
			Number: number, Release: "r8", StartedAt: time.Date(2026, 11, 21, 0, 0, 0, 0, time.UTC).Add(begun),
			Stages: []course.Stage{{Environment: "production", Gates: []course.Gate{{Gate: `say "yes"`, State: state}}}},
		}}
	}
	all = append(all, checks.Gates([]api.PipelineStatus{
		{Pipeline: semper.Pipeline{App: "idle"}},
		{Pipeline: semper.Pipeline{App: "shop"}, Runs: []api.RunStatus{run(2, time.Hour, course.GatePassed), run(1, 0, course.GateFailed)}},
	})...)
	for kind, end := range map[string]string{"text/plain; version=0.0.4": "", "application/openmetrics-text; version=1.0.0": "# EOF\n"} {
		m := checks.Append(api.Exposition{ContentType: kind, Text: []byte("up 1\n" + end)}, all, nil)
		text := string(m.Text)
		if !strings.HasPrefix(text, "up 1\n") || strings.Count(text, "# EOF") != len(end)/6 || !strings.HasSuffix(text, end) {
			t.Errorf("%s:\n%s", kind, text)
		}
		for _, want := range []string{
			`semper_check_verdict{semper_app="shop",semper_environment="production",semper_release="r8",check="judge",verdict="undecided"} 1`,
			`semper_check_verdict{semper_app="shop",semper_environment="production",semper_release="r8",check="judge",verdict="worse"} 0`,
			`semper_check_value{semper_app="shop",semper_environment="production",semper_release="r8",check="judge"} 2.5`,
			`semper_check_limit{semper_app="shop",semper_environment="production",semper_release="r8",check="judge"} 111`,
			`semper_check_verdict{semper_app="shop",semper_environment="production",semper_release="r8",check="say \"yes\"",verdict="passed"} 1`,
		} {
			if !strings.Contains(text, want+"\n") {
				t.Errorf("there is no %s in\n%s", want, text)
			}
		}
		if strings.Contains(text, "beta") || strings.Contains(text, "e=\"idle") || strings.Count(text, "} 1\n") != 2 {
			t.Errorf("told is what is over, or a check in two states:\n%s", text)
		}
	}
	if m := checks.Append(api.Exposition{ContentType: "application/vnd.google.protobuf", Text: []byte("x")}, all, nil); string(m.Text) != "x" {
		t.Error("text was added to what is none")
	}
}

// A cron whose last run failed is told from one that has recovered by when its runs ended.
func TestTasksAreToldByTheirLastEnds(t *testing.T) {
	t.Parallel()
	at := func(seconds int64) time.Time { return time.Unix(seconds, 0) }
	of := func(service string, state task.State, ended time.Time) task.Task {
		return task.Task{App: "shop", Environment: "production", Service: service, State: state, EndedAt: ended}
	}
	tasks := []task.Task{
		of("report", task.Failed, at(300)), of("report", task.Failed, at(100)), of("report", task.Done, at(200)),
		of("report", task.Running, time.Time{}), of("report", task.Queued, time.Time{}), of("mail", task.Done, at(50)),
	}
	got := string(checks.Append(api.Exposition{ContentType: "application/openmetrics-text; version=1.0.0", Text: []byte("up 1\n# EOF\n")}, nil, tasks).Text)
	want := `up 1
# HELP semper_task_active Tasks and runs of crons that have not ended.
# TYPE semper_task_active gauge
semper_task_active{semper_app="shop",semper_environment="production",semper_service="mail"} 0
semper_task_active{semper_app="shop",semper_environment="production",semper_service="report"} 2
# HELP semper_task_last_end_timestamp_seconds When the newest task of a service ended that ended in this state, as Unix time.
# TYPE semper_task_last_end_timestamp_seconds gauge
semper_task_last_end_timestamp_seconds{semper_app="shop",semper_environment="production",semper_service="mail",state="done"} 50
semper_task_last_end_timestamp_seconds{semper_app="shop",semper_environment="production",semper_service="report",state="done"} 200
semper_task_last_end_timestamp_seconds{semper_app="shop",semper_environment="production",semper_service="report",state="failed"} 300
# EOF
`
	if got != want {
		t.Errorf("told is\n%s\nwant\n%s", got, want)
	}
}
