package rollout

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"semper"
	"semper/autoscale"
)

// Request is a user's command, with who gave it and when.
type Request struct {
	ID  string // of the rollout it begins: "d-41"
	By  string
	Now time.Time
	// Until is the kind of step after whose last one a deploy pauses; empty for never.
	Until semper.StepKind
	// Hotfix says why a deploy leaves out its release's steps; empty where it does not.
	Hotfix string
	// Again has a deploy run a migration once more that failed. Without it a release whose migration failed is refused.
	Again bool

	experiment string // whose winner a deploy promotes
}

// maxInstances is how many instances of one release a service may have, and how many of two releases while one of them is on trial.
const maxInstances = 1000

// Deploy begins the move of env to rel with the scale its spec names, or with what a service that is scaled by itself has now.
func Deploy(env semper.Environment, rel semper.Release, q Request) (semper.Environment, []semper.Event, error) {
	scale := begins(env, rel)
	if c := env.Current; c != nil && c.Release == rel.Name() && maps.Equal(c.Scale, scale) && len(c.ByHand) == 0 {
		return nothingToDo(env, rel.Name(), q)
	}
	if m := env.Migrated[rel.Name()]; m.Failed != "" {
		if !q.Again {
			return env, nil, &semper.Error{
				Code: semper.Conflict, Op: "deploy",
				Message: fmt.Sprintf("%s is bad: its migration failed at %s (%s): %s", rel.Name(), m.At.UTC().Format(time.DateTime), m.Rollout, m.Failed),
				Hint:    "deploy another release; or, once what it left behind is put right: semper deploy --migrate-again",
			}
		}
		env = clone(env)
		delete(env.Migrated, rel.Name())
	}
	return move(env, semper.KindDeploy, rel, scale, q)
}

// ends tells a service that has no instances: each run of a task or a cron is one of its own.
func ends(svc semper.Service) bool { return svc.Type == semper.Task || svc.Type == semper.Cron }

// Rollback begins the move back to rel: one table back while it is warm, a rollout of an old value
// after that. Its scale comes back with it.
func Rollback(env semper.Environment, rel semper.Release, q Request) (semper.Environment, []semper.Event, error) {
	if env.Current != nil && env.Current.Release == rel.Name() {
		return env, nil, &semper.Error{Code: semper.Invalid, Op: "rollback", Message: fmt.Sprintf("%s is the current release", rel.Name())}
	}
	scale := begins(env, rel)
	if p := env.Previous; p != nil && p.Release == rel.Name() {
		scale = p.Scale
	}
	return move(env, semper.KindRollback, rel, scale, q)
}

// Scale begins the move to other numbers of instances of the current release. A service that is scaled by itself keeps the number
// given until the next deploy, or until [Auto] is given.
func Scale(env semper.Environment, rel semper.Release, scale map[string]int, q Request) (semper.Environment, []semper.Event, error) {
	env = clone(env)
	if err := free(env, "scale"); err != nil {
		return env, nil, err
	}
	cur := env.Current
	if cur == nil {
		return env, nil, noCurrent(env, "scale")
	}
	next := maps.Clone(cur.Scale)
	for svc, n := range scale {
		if _, ok := rel.Spec.Services[svc]; !ok {
			return env, nil, &semper.Error{Code: semper.NotFound, Op: "scale", Message: fmt.Sprintf("%s has no service %q", cur.Release, svc), Hint: "services: " + names(rel.Spec.Services)}
		}
		if svc := rel.Spec.Services[svc]; ends(svc) {
			return env, nil, &semper.Error{Code: semper.Invalid, Op: "scale", Message: fmt.Sprintf("a %s has no instances: each run is one", svc.Type), Hint: "semper run and semper cron begin and hold back runs"}
		}
		switch _, auto := autoscale.Of(rel.Spec.Services[svc]); {
		case n == Auto && !auto:
			return env, nil, &semper.Error{Code: semper.Invalid, Op: "scale", Message: fmt.Sprintf("%s says nothing of how %s is scaled by itself", cur.Release, svc), Hint: "add scale to the service in semper.yaml, and deploy; or give a number"}
		case n == Auto:
			continue
		case n < 0 || n > maxInstances:
			return env, nil, &semper.Error{Code: semper.Invalid, Op: "scale", Message: fmt.Sprintf("%s=%d: a service has 0 to %d instances", svc, n, maxInstances)}
		}
		next[svc] = n
	}
	hands := byHand(cur.ByHand, rel.Spec, scale)
	switch {
	case maps.Equal(next, cur.Scale) && slices.Equal(hands, cur.ByHand):
		return nothingToDo(env, cur.Release, q)
	case maps.Equal(next, cur.Scale):
		return automatically(env, hands, q)
	}
	target := resize(&env, *cur, next)
	target.ByHand = hands
	target.Generation = nextGeneration(&env)
	ev := begin(&env, semper.KindScale, rel, target, q)
	return env, ev, nil
}

// Restart begins the replacement of the instances of services (all of them where none is named) by
// new ones of the same release.
func Restart(env semper.Environment, rel semper.Release, services []string, q Request) (semper.Environment, []semper.Event, error) {
	env = clone(env)
	if err := free(env, "restart"); err != nil {
		return env, nil, err
	}
	cur := env.Current
	if cur == nil {
		return env, nil, noCurrent(env, "restart")
	}
	for _, s := range services {
		if ends(rel.Spec.Services[s]) {
			return env, nil, &semper.Error{Code: semper.Invalid, Op: "restart", Message: fmt.Sprintf("%s has no instances: each run is one", s), Hint: "semper run --service " + s + " begins a run"}
		}
		if _, ok := rel.Spec.Services[s]; !ok {
			return env, nil, &semper.Error{Code: semper.NotFound, Op: "restart", Message: fmt.Sprintf("%s has no service %q", cur.Release, s), Hint: "services: " + names(rel.Spec.Services)}
		}
	}
	target := *clonePlacement(cur)
	target.Instances = slices.DeleteFunc(target.Instances, func(u semper.PlacedUnit) bool {
		return len(services) == 0 || slices.Contains(services, u.Service)
	})
	target = resize(&env, target, cur.Scale)
	target.Generation = nextGeneration(&env)
	ev := begin(&env, semper.KindRestart, rel, target, q)
	return env, ev, nil
}

func move(env semper.Environment, kind semper.RolloutKind, rel semper.Release, scale map[string]int, q Request) (semper.Environment, []semper.Event, error) {
	env = clone(env)
	if err := free(env, string(kind)); err != nil {
		return env, nil, err
	}
	if kind == semper.KindDeploy && (env.Current == nil || env.Current.Release != rel.Name()) {
		if err := uncompared(env, q); err != nil {
			return env, nil, err
		}
	}
	var target semper.Placement
	var trial *semper.Trial
	switch {
	case env.Current != nil && env.Current.Release == rel.Name(): // another scale of the same release
		target = resize(&env, *clonePlacement(env.Current), scale)
		target.Generation, target.ByHand = nextGeneration(&env), nil
		kind = semper.KindScale
	case env.Previous != nil && env.Previous.Release == rel.Name() && len(env.Previous.Instances) > 0:
		target = resize(&env, *clonePlacement(env.Previous), scale)
	default:
		target = resize(&env, semper.Placement{Release: rel.Name(), Drain: rel.Spec.Drain}, scale)
		target.Generation = nextGeneration(&env)
		if kind == semper.KindDeploy {
			trial = newTrial(env, rel, q)
		}
	}
	if q.Until != "" && (trial == nil || lastOf(rel.Spec.Deploy.Steps, q.Until) < 0) {
		return env, nil, untried(env, rel, q)
	}
	ev := begin(&env, kind, rel, target, q)
	if env.Rollout.Trial = trial; q.Hotfix != "" {
		env.Rollout.Hotfix = q.Hotfix
		ev = append(ev, semper.Event{
			At: q.Now, Kind: "rollout.hotfix", App: env.App, Environment: env.Name, Rollout: q.ID, Release: rel.Name(), By: q.By,
			Message: fmt.Sprintf("%s: %s leaves out the steps of %s: %s", q.ID, orSomebody(q.By), rel.Name(), q.Hotfix),
		})
	}
	return env, ev, nil
}

// newTrial is the trial of a deploy of rel, or nil: the first release has nothing it could be compared with, and a hotfix is
// for a release that is worth less than any comparison.
func newTrial(env semper.Environment, rel semper.Release, q Request) *semper.Trial {
	d := rel.Spec.Deploy
	if d == nil || len(d.Steps) == 0 || env.Current == nil || q.Hotfix != "" {
		return nil
	}
	return &semper.Trial{Until: q.Until}
}

// untried refuses to begin what could not pause where it is asked to.
func untried(env semper.Environment, rel semper.Release, q Request) error {
	why := fmt.Sprintf("%s has no step of %s", rel.Name(), q.Until)
	hint := "add one to deploy.steps in semper.yaml, or leave out --until"
	switch {
	case q.Hotfix != "":
		why = "a hotfix leaves out the steps"
	case env.Current == nil:
		why, hint = "nothing serves yet that the release could be compared with", "the first release of an app goes live at once"
	case env.Previous != nil && env.Previous.Release == rel.Name():
		why = fmt.Sprintf("%s served until a moment ago and is warm: it goes live at once", rel.Name())
	}
	return &semper.Error{Code: semper.Invalid, Op: "deploy", Message: why + ": there is no step to pause after", Hint: hint}
}

// begin puts a new rollout into env; a live one that still watches is superseded by it.
func begin(env *semper.Environment, kind semper.RolloutKind, rel semper.Release, target semper.Placement, q Request) []semper.Event {
	var events []semper.Event
	if r := env.Rollout; r != nil && !r.State.Ended() {
		r.State, r.EnteredAt, r.EndedAt = semper.RolloutSuperseded, q.Now, q.Now
		events = append(events, semper.Event{
			At: q.Now, Kind: "rollout.superseded", App: env.App, Environment: env.Name, Rollout: r.ID, Release: r.To,
			Message: fmt.Sprintf("%s is superseded by %s", r.ID, q.ID),
		})
	}
	r := &semper.Rollout{
		ID: q.ID, Kind: kind, State: semper.RolloutStage, To: rel.Name(), Target: target,
		By: q.By, StartedAt: q.Now, EnteredAt: q.Now,
		Steps: []semper.RolloutStep{{State: semper.RolloutStage, At: q.Now}},
	}
	if env.Current != nil {
		r.From = env.Current.Release
	}
	env.Rollout = r
	return append(events, semper.Event{
		At: q.Now, Kind: "rollout.begun", App: env.App, Environment: env.Name, Rollout: r.ID, Release: r.To, By: q.By,
		Message: fmt.Sprintf("%s begun by %s: %s %s → %s, %d instances", r.ID, orSomebody(q.By), kind, orNone(r.From), r.To, len(target.Instances)),
	})
}

// nothingToDo records a command that found everything as it asks.
func nothingToDo(env semper.Environment, rel semper.ReleaseName, q Request) (semper.Environment, []semper.Event, error) {
	env = clone(env)
	if err := free(env, "deploy"); err != nil {
		return env, nil, err
	}
	msg := fmt.Sprintf("%s is current already: nothing to change", rel)
	if env.Rollout != nil && !env.Rollout.State.Ended() {
		// What is watched goes on being watched: the answer is an ended rollout that is not stored.
		done := env
		done.Rollout = ended(q, rel, msg)
		return done, nil, nil
	}
	env.Rollout = ended(q, rel, msg)
	return env, []semper.Event{{At: q.Now, Kind: "rollout.done", App: env.App, Environment: env.Name, Rollout: q.ID, Release: rel, By: q.By, Message: msg}}, nil
}

func ended(q Request, rel semper.ReleaseName, why string) *semper.Rollout {
	return &semper.Rollout{
		ID: q.ID, Kind: semper.KindDeploy, State: semper.RolloutDone, From: rel, To: rel, By: q.By, Reason: why,
		StartedAt: q.Now, EnteredAt: q.Now, EndedAt: q.Now,
		Steps: []semper.RolloutStep{{State: semper.RolloutDone, At: q.Now, Note: why}},
	}
}

// free refuses a command while another rollout is on its way to its cutover.
func free(env semper.Environment, op string) error {
	r := env.Rollout
	if r == nil || r.State.Ended() || r.State.Live() {
		return nil
	}
	return &semper.Error{
		Code: semper.Conflict, Op: op,
		Message: fmt.Sprintf("rollout %s (%s to %s, begun by %s at %s) is running: %s", r.ID, r.Kind, r.To, orSomebody(r.By), r.StartedAt.UTC().Format(time.TimeOnly), r.State),
		Hint:    "watch it with: semper status -w   end it with: semper abort",
	}
}

// resize gives p the instances of scale: the ones it has, fewer (the newest go) or more.
func resize(env *semper.Environment, p semper.Placement, scale map[string]int) semper.Placement {
	var out []semper.PlacedUnit
	for _, svc := range slices.Sorted(maps.Keys(scale)) {
		have := 0
		for _, u := range p.Instances {
			if u.Service == svc && have < scale[svc] {
				out = append(out, u)
				have++
			}
		}
		for ; have < scale[svc]; have++ {
			out = append(out, semper.PlacedUnit{ID: nextInstance(env, svc, p.Release), Service: svc})
		}
	}
	p.Instances, p.Scale = out, maps.Clone(scale)
	return p
}

func nextInstance(env *semper.Environment, service string, rel semper.ReleaseName) semper.InstanceID {
	if env.InstanceSeq == nil {
		env.InstanceSeq = make(map[string]int)
	}
	key := service + "." + string(rel)
	env.InstanceSeq[key]++
	app := env.App
	if env.Name != semper.DefaultEnvironment {
		app += "@" + env.Name
	}
	return semper.NameInstance(app, service, rel, env.InstanceSeq[key])
}

func nextGeneration(env *semper.Environment) int64 {
	env.Generation++
	return env.Generation
}

func noCurrent(env semper.Environment, op string) error {
	return &semper.Error{Code: semper.NotFound, Op: op, Message: fmt.Sprintf("nothing is deployed to %s", env.Key()), Hint: "semper deploy puts a release there"}
}

func names[V any](m map[string]V) string {
	s := ""
	for i, k := range slices.Sorted(maps.Keys(m)) {
		if i > 0 {
			s += ", "
		}
		s += k
	}
	return s
}

func orSomebody(by string) string {
	if by == "" {
		return "somebody"
	}
	return by
}
