package web

import (
	"strings"
	"testing"
	"time"

	"semper/api"
	"semper/task"
)

// What a page says of crons and tasks, in each state that they can be in.
func TestTasksOnAPage(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
	failed := task.Task{ID: "t-7", Service: "report", State: task.Failed, Why: "exit code <3>", Due: now, StartedAt: now, EndedAt: now, Release: "r1"}
	running := task.Task{ID: "t-8", Service: "report", State: task.Running, Due: now, StartedAt: now, Release: "r2", Skipped: 3}
	queued := task.Task{ID: "t-9", Service: "web", Command: []string{"./manage", strings.Repeat("x", 100)}, State: task.Queued, Why: "the migration of r2", By: "ann"}
	cron := func(name string) api.CronInfo {
		return api.CronInfo{Cron: task.Cron{App: "shop", Environment: "production", Service: name}, Settings: task.Settings{Schedule: "*/5 * * * *", Zone: "Europe/Berlin"}, Next: now}
	}
	fresh, bad, busy, paused := cron("fresh"), cron("bad"), cron("busy"), cron("paused")
	bad.Last, busy.Last, busy.Open = &failed, &failed, []task.Task{running}
	paused.Paused, paused.Next = &task.Stop{By: "bob", Why: "it moves"}, time.Time{}
	l := &look{App: "shop", Env: "production", Envs: []api.Status{{App: "shop", Environment: "production", Crons: []api.CronInfo{fresh, bad, busy, paused}, Tasks: []task.Task{queued, running, failed}}}}
	f, err := parsePages("1").fragments([]string{"crons", "tasks"}, l)
	if err != nil {
		t.Fatal(err)
	}
	for name, says := range map[string][]string{
		"crons": {"none yet", "t-7: exit code &lt;3&gt;", "t-8: 3 due times passed meanwhile", "paused by bob: it moves", "Europe/Berlin", "*/5 * * * *"},
		"tasks": {"waits for the migration of r2", "web: ./manage xxx", "…", "ann", "failed", "running"},
	} {
		for _, want := range says {
			if !strings.Contains(string(f[name].HTML), want) {
				t.Errorf("%s does not say %q:\n%s", name, want, f[name].HTML)
			}
		}
	}
	l.Envs[0].Crons, l.Envs[0].Tasks = nil, nil
	if f, err = parsePages("1").fragments([]string{"crons", "tasks"}, l); err != nil || f["crons"].HTML != "" || f["tasks"].HTML != "" {
		t.Errorf("%+v %v", f, err)
	}
}
