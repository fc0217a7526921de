package rollout

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"semper"
	"semper/internal/stepwords"
)

// A Fault is what is wrong with a setting, by its key path in semper.yaml.
type Fault struct {
	Key, Message, Hint string
}

// MinShare is the smallest part of the requests that a step may ask for.
const MinShare = 0.001

// Check tells what the machine cannot go by in what spec says of its deploy; nothing where all is well.
func Check(spec semper.Spec) []Fault {
	d := spec.Deploy
	if d == nil {
		return nil
	}
	var out []Fault
	given := func(s semper.Service) bool { return s.Pooled() || s.Pulls() }
	if !slices.ContainsFunc(slices.Collect(maps.Values(spec.Services)), given) {
		out = append(out, Fault{"deploy", "no service gets requests or jobs from semper, so there is no share of them to give", "remove it, or give one service \"type: web\", or a worker \"jobs: {}\""})
	}
	if b := d.Baseline; b != "" && b != semper.BaselineFresh && b != semper.BaselineStable {
		out = append(out, Fault{"deploy.baseline", fmt.Sprintf("%q is no baseline", b), "fresh or stable"})
	}
	out = append(out, checkSteps(d.Steps)...)
	return append(out, checkJudge(d.Judge)...)
}

// checkSteps wants the share of the traffic to grow from step to step, and copies before it: requests that a candidate already
// answers tell more than copies would.
func checkSteps(steps []semper.Step) []Fault {
	var out []Fault
	traffic := 0.0
	for i, s := range steps {
		key := fmt.Sprintf("deploy.steps[%d]", i)
		wrong := func(message, hint string) { out = append(out, Fault{key, message, hint}) }
		switch {
		case s.Kind != semper.StepPause && s.Kind != semper.StepShadow && s.Kind != semper.StepTraffic:
			wrong(fmt.Sprintf("%q is no step", s.Kind), "shadow, traffic or pause")
			continue
		case s.For < 0 || s.Requests < 0:
			wrong("less than nothing is asked for", "")
		case s.Kind == semper.StepPause && (s.Share != 0 || s.For != 0 || s.Requests != 0):
			wrong("a pause ends when somebody resumes it, and changes nothing", "write it alone: - pause")
		case s.Kind == semper.StepPause:
			continue
		case !(s.Share >= MinShare && s.Share <= 1): // so that NaN is out of it
			wrong(fmt.Sprintf("%s of the requests", stepwords.Share(s.Share)), "from 0.1% to 100%")
			continue
		case s.Kind == semper.StepShadow && traffic > 0:
			wrong("copies after a share of the traffic", "put shadow before the first traffic")
		case s.Kind == semper.StepTraffic && s.Share <= traffic:
			wrong(fmt.Sprintf("%s after %s: the share does not grow", stepwords.Share(s.Share), stepwords.Share(traffic)), "each step of traffic has more than the one before; pause keeps it as it is")
		}
		if s.Kind == semper.StepTraffic {
			traffic = s.Share
		}
	}
	return out
}

func checkJudge(j semper.Judge) []Fault {
	var out []Fault
	for _, s := range []struct {
		key    string
		value  float64
		lo, hi float64
		want   string
	}{
		{"alpha", j.Alpha, 1e-9, 0.5, "more than 0 and at most 0.5; 0.01 is the default"},
		{"errors.margin", j.ErrorMargin, 1, 100, "1 to 100, as a factor of the baseline's"},
		{"errors.floor", j.ErrorFloor, 1e-9, 1 - 1e-9, "more than 0% and less than 100%"},
		{"latency.margin", j.LatencyAbove, 1, 100, "1 to 100, as a factor of the baseline's"},
		{"memory.margin", j.MemoryMargin, 1, 100, "1 to 100, as a factor of the baseline's"},
	} {
		if s.value != 0 && !(s.value >= s.lo && s.value <= s.hi) {
			out = append(out, Fault{"deploy.judge." + s.key, fmt.Sprintf("%s is %v", s.key, s.value), "it has to be " + s.want})
		}
	}
	if j.WarmUp < 0 || j.Interval < 0 {
		out = append(out, Fault{"deploy.judge", "less than no time", ""})
	}
	return append(out, checkMeans(j.Metrics)...)
}

// mostMeans bounds what instances push: each metric has its part of alpha, and is kept.
const mostMeans = 8

func checkMeans(all []semper.MeanMetric) (out []Fault) {
	if len(all) > mostMeans {
		out = append(out, Fault{"deploy.judge.metrics", fmt.Sprintf("there are %d metrics", len(all)), fmt.Sprintf("at most %d", mostMeans)})
	}
	for i, m := range all {
		key := fmt.Sprintf("deploy.judge.metrics[%d]", i)
		switch {
		case !isMetric(m.Name):
			out = append(out, Fault{key + ".name", fmt.Sprintf("%q is no name of a metric", m.Name), "1 to 64 letters, digits, - and _"})
		case slices.Contains([]string{"errors", "users", "latency", "memory_mib", "differences"}, m.Name):
			out = append(out, Fault{key + ".name", m.Name + " is what the judge itself counts", "give the metric another name"})
		case slices.ContainsFunc(all[:i], func(o semper.MeanMetric) bool { return o.Name == m.Name }):
			out = append(out, Fault{key + ".name", m.Name + " is there twice", ""})
		}
		if !(m.Margin >= 0 && m.Margin < 1) {
			out = append(out, Fault{key + ".margin", fmt.Sprintf("the margin is %v", m.Margin), "a part of the baseline's mean, from 0 to less than 1"})
		}
	}
	return out
}

func isMetric(name string) bool {
	const allowed = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_"
	return name != "" && len(name) <= 64 && strings.Trim(name, allowed) == ""
}
