package web

import (
	"context"
	"fmt"
	"net/http"
	"slices"

	"semper"
	"semper/api"
	"semper/pipeline/course"
)

// mostWhy is how many bytes of a reason a form may bring.
const mostWhy = 4 << 10

// pipelines brings Pipelines up to now.
func (u *ui) pipelines(ctx context.Context, l *look) {
	all, err := u.s.Pipelines(ctx, "")
	l.Pipelines = slices.DeleteFunc(all, func(p api.PipelineStatus) bool { return l.App != "" && p.Pipeline.App != l.App })
	l.PipelinesErr, l.Caller = err, api.CallerOf(ctx)
}

// A need is something that a pipeline waits for somebody for.
type need struct {
	Key, App  string
	Mark      mark
	Text      string
	Why       string
	Tail      []string // of what a gate's command printed
	Run       string
	Approve   bool // the caller may say yes
	Reject    bool // or no
	Rerun     bool // or have it tried again
	WhoMay    []string
	Command   string
	Said, Env string
}

// needs are what the caller, or somebody else, has to do that a pipeline goes on: what he may do himself first.
func needs(l *look) (out []need) {
	may := l.Caller.Role.Includes(api.Deployer)
	for _, p := range l.Pipelines {
		if p.Stopped != "" {
			out = append(out, need{
				Key: p.Pipeline.App + "/line", App: p.Pipeline.App, Mark: mark{"square", "warn", "stopped"}, Text: "The line is stopped: nothing is promoted", Why: p.Stopped,
				Command: "semper pipeline resume -a " + p.Pipeline.App,
			})
		}
		for i, r := range p.Runs {
			n := need{Key: r.ID, App: r.App, Run: r.ID, Reject: may, Command: "semper pipeline show " + r.ID}
			switch {
			case len(r.Asks) > 0:
				n.Mark, n.WhoMay = mark{"half", "busy", "waits for a yes"}, r.Asks
				n.Text = fmt.Sprintf("%s asks to enter %s", r.Release, r.Stages[r.At].Environment)
				n.Approve = may && l.Caller.Among(r.Asks)
			case i == 0 && (r.State == course.Failed || r.State == course.Rejected):
				n.Mark, n.Text, n.Why, n.Reject, n.Rerun = runMark(r.State), fmt.Sprintf("%s did not come through", r.Release), r.Reason, false, may
				n.Tail = failedTail(r.Run)
			default:
				continue
			}
			n.Said = fmt.Sprintf("%s: %s", n.App, n.Text)
			out = append(out, n)
		}
	}
	slices.SortStableFunc(out, func(a, b need) int { return rank(a) - rank(b) })
	return out
}

func rank(n need) int {
	if n.Approve {
		return 0
	}
	return 1
}

// failedTail is the end of what a run's failed gate printed.
func failedTail(r course.Run) []string {
	for _, s := range r.Stages {
		for _, g := range s.Gates {
			if g.State == course.GateFailed {
				return g.Tail
			}
		}
	}
	return nil
}

func runMark(s course.State) mark {
	switch s {
	case course.Passed:
		return mark{"check", "ok", string(s)}
	case course.Failed, course.Rejected:
		return mark{"cross", "bad", string(s)}
	case course.Superseded:
		return mark{"square", "off", string(s)}
	case course.Running:
	}
	return mark{"half", "busy", string(s)}
}

func gateMark(s course.GateState) mark {
	switch s {
	case course.GatePassed:
		return mark{"check", "ok", string(s)}
	case course.GateFailed:
		return mark{"cross", "bad", string(s)}
	case course.GateRunning:
		return mark{"half", "busy", string(s)}
	case course.GatePending:
	}
	return mark{"ring", "off", string(s)}
}

// A way is a pipeline as it is drawn: its environments in order, and how far its newest run is.
type way struct {
	App   string
	Run   *api.RunStatus
	Mark  mark
	Stops []wayStop
}

type wayStop struct {
	Environment string
	Serves      semper.ReleaseName
	Mark        mark
	Here        bool      // the run is at it
	Before      []wayGate // looked at before the release enters
	Live        []wayGate // and once it serves
}

type wayGate struct {
	Name, Why, By string
	Mark          mark
}

// ways are the pipelines of a page.
func ways(l *look) (out []way) {
	for _, p := range l.Pipelines {
		w := way{App: p.Pipeline.App}
		if len(p.Runs) > 0 {
			w.Run = &p.Runs[0]
			w.Mark = runMark(w.Run.State)
		}
		for _, s := range p.Pipeline.Stages {
			w.Stops = append(w.Stops, stopOf(s, p.Serving[s.Environment], w.Run))
		}
		out = append(out, w)
	}
	return out
}

// stopOf is an environment with its gates, as far as the newest run has come with them.
func stopOf(s semper.Stage, serves semper.ReleaseName, run *api.RunStatus) wayStop {
	stop := wayStop{Environment: s.Environment, Serves: serves, Mark: mark{"ring", "off", string(course.StagePending)}}
	var at course.Stage
	if run != nil {
		if i := slices.IndexFunc(run.Stages, func(r course.Stage) bool { return r.Environment == s.Environment }); i >= 0 {
			at = run.Stages[i]
			stop.Here = run.State == course.Running && run.At == i
			stop.Mark = stageMark(at.State, stop.Here, run.State != course.Running && run.At == i)
		}
	}
	for _, g := range s.Gates {
		wg := wayGate{Name: g.Name, Mark: gateMark(course.GatePending)}
		if i := slices.IndexFunc(at.Gates, func(r course.Gate) bool { return r.Gate == g.Name }); i >= 0 {
			r := at.Gates[i]
			wg.Mark, wg.Why, wg.By = gateMark(r.State), r.Why, r.By
		}
		if g.When == semper.GateBefore {
			stop.Before = append(stop.Before, wg)
		} else {
			stop.Live = append(stop.Live, wg)
		}
	}
	return stop
}

func stageMark(s course.StageState, here, ended bool) mark {
	switch {
	case s == course.StagePassed:
		return mark{"check", "ok", string(s)}
	case ended:
		return mark{"cross", "bad", "ended here"}
	case here:
		return mark{"half", "busy", string(s)}
	}
	return mark{"ring", "off", string(s)}
}

// decide takes a yes or a no of whoever presses a button. That it was pressed on this page, the API's guard against other sites has seen; whether he may, is the server's to say.
func (u *ui) decide(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, mostWhy)
	if err := r.ParseForm(); err != nil {
		u.fail(w, &semper.Error{Code: semper.Invalid, Message: "the form cannot be read", Hint: "the reason may be 4 KiB long", Err: err})
		return
	}
	var err error
	app, run, why := r.PathValue("app"), r.PathValue("run"), r.PostFormValue("why")
	switch verb := r.PathValue("verb"); verb {
	case "approve":
		_, err = u.s.Approve(r.Context(), app, run, why)
	case "reject":
		_, err = u.s.Reject(r.Context(), app, run, why)
	case "rerun":
		_, err = u.s.Rerun(r.Context(), app, run)
	default:
		err = &semper.Error{Code: semper.NotFound, Message: fmt.Sprintf("a run can be told approve, reject or rerun, and not %q", verb)}
	}
	if err != nil {
		u.fail(w, err)
		return
	}
	http.Redirect(w, r, "/", http.StatusSeeOther)
}
