package checks

import (
	"bytes"
	"cmp"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"

	"semper"
	"semper/api"
	"semper/pipeline/course"
	"semper/task"
)

// A Check is one condition and how it stands.
type Check struct {
	App         string
	Environment string
	Release     semper.ReleaseName
	Name        string // "judge", or that of a gate
	State       string
	States      []string // all there are
	// Value and Limit are the judge's e-value, and where it says worse; Limit is 0 for gates, which have none.
	Value, Limit float64
}

var (
	outcomes = []string{string(semper.BetterOrEqual), string(semper.Undecided), string(semper.Worse)}
	gates    = []string{string(course.GatePending), string(course.GateRunning), string(course.GatePassed), string(course.GateFailed)}
)

// Judged are the judges of rollouts that have not ended, in the order of environments.
func Judged(envs map[semper.EnvironmentKey]semper.Environment, verdicts map[semper.EnvironmentKey]semper.Verdict) (all []Check) {
	for _, key := range slices.Sorted(maps.Keys(verdicts)) {
		v, e := verdicts[key], envs[key]
		if r := e.Rollout; r != nil && r.ID == v.Rollout && !r.State.Ended() {
			all = append(all, Check{
				App: e.App, Environment: e.Name, Release: r.To, Name: "judge", State: string(v.Outcome), States: outcomes, Value: v.E, Limit: v.Limit,
			})
		}
	}
	return all
}

// Gates are those of the newest run of each pipeline.
func Gates(pipelines []api.PipelineStatus) (all []Check) {
	for _, p := range pipelines {
		if len(p.Runs) == 0 {
			continue
		}
		newest := slices.MaxFunc(p.Runs, func(a, b api.RunStatus) int {
			return cmp.Or(a.StartedAt.Compare(b.StartedAt), cmp.Compare(a.Number, b.Number))
		})
		for _, s := range newest.Stages {
			for _, g := range s.Gates {
				all = append(all, Check{App: p.Pipeline.App, Environment: s.Environment, Release: newest.Release, Name: g.Gate, State: string(g.State), States: gates})
			}
		}
	}
	return all
}

// Append is an edge's exposition with checks and tasks behind it. One in a format that is not text is left as it is.
func Append(m api.Exposition, all []Check, tasks []task.Task) api.Exposition {
	open := strings.HasPrefix(m.ContentType, "application/openmetrics-text")
	if len(all)+len(tasks) == 0 || !open && !strings.HasPrefix(m.ContentType, "text/plain") {
		return m
	}
	var b bytes.Buffer
	b.Write(bytes.TrimSuffix(m.Text, []byte("# EOF\n")))
	if len(all) > 0 {
		writeChecks(&b, all)
	}
	if len(tasks) > 0 {
		writeTasks(&b, tasks)
	}
	if open {
		b.WriteString("# EOF\n")
	}
	m.Text = b.Bytes()
	return m
}

func family(b *bytes.Buffer, name, help string) {
	fmt.Fprintf(b, "# HELP %s %s\n# TYPE %s gauge\n", name, help, name)
}

func writeChecks(b *bytes.Buffer, all []Check) {
	family(b, "semper_check_verdict", "How a check of a release stands: 1 in the state that it is in.")
	for _, c := range all {
		for _, state := range c.States {
			value := 0.
			if state == c.State {
				value = 1
			}
			c.write(b, "semper_check_verdict", value, `,verdict="`+escape(state)+`"`)
		}
	}
	family(b, "semper_check_value", "The evidence against a release on trial, as an e-value.")
	for _, c := range all {
		if c.Limit > 0 {
			c.write(b, "semper_check_value", c.Value, "")
		}
	}
	family(b, "semper_check_limit", "The evidence at which a release on trial is returned.")
	for _, c := range all {
		if c.Limit > 0 {
			c.write(b, "semper_check_limit", c.Limit, "")
		}
	}
}

func (c *Check) write(b *bytes.Buffer, name string, value float64, more string) {
	fmt.Fprintf(b, `%s{semper_app="%s",semper_environment="%s",semper_release="%s",check="%s"%s} %s`+"\n",
		name, escape(c.App), escape(c.Environment), escape(string(c.Release)), escape(c.Name), more, number(value))
}

func number(x float64) string {
	if math.IsInf(x, 1) {
		return "+Inf"
	}
	return strconv.FormatFloat(x, 'g', -1, 64)
}

var escaper = strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`)

func escape(s string) string { return escaper.Replace(s) }
