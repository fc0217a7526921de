package checks

import (
	"bytes"
	"cmp"
	"fmt"
	"maps"
	"slices"

	"semper/task"
)

// ran is one service's tasks, or its runs where it is a cron.
type ran struct{ app, environment, service string }

// writeTasks tells how many tasks of each service have not ended, and when the newest one ended that ended so.
func writeTasks(b *bytes.Buffer, all []task.Task) {
	active, ends := map[ran]int{}, map[ran]map[task.State]int64{}
	for _, t := range all {
		of := ran{t.App, t.Environment, t.Service}
		if ends[of] == nil {
			ends[of] = map[task.State]int64{}
		}
		if t.State.Ended() {
			ends[of][t.State] = max(ends[of][t.State], t.EndedAt.Unix())
		} else {
			active[of]++
		}
	}
	services := slices.SortedFunc(maps.Keys(ends), func(a, b ran) int {
		return cmp.Or(cmp.Compare(a.app, b.app), cmp.Compare(a.environment, b.environment), cmp.Compare(a.service, b.service))
	})
	family(b, "semper_task_active", "Tasks and runs of crons that have not ended.")
	for _, of := range services {
		of.write(b, "semper_task_active", "", float64(active[of]))
	}
	family(b, "semper_task_last_end_timestamp_seconds", "When the newest task of a service ended that ended in this state, as Unix time.")
	for _, of := range services {
		for _, state := range slices.Sorted(maps.Keys(ends[of])) {
			of.write(b, "semper_task_last_end_timestamp_seconds", `,state="`+escape(string(state))+`"`, float64(ends[of][state]))
		}
	}
}

func (r ran) write(b *bytes.Buffer, name, more string, value float64) {
	fmt.Fprintf(b, `%s{semper_app="%s",semper_environment="%s",semper_service="%s"%s} %s`+"\n",
		name, escape(r.app), escape(r.environment), escape(r.service), more, number(value))
}
