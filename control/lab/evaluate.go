package lab

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"semper"
	"semper/api"
	"semper/edge/route"
	"semper/experiment"
	"semper/experiment/design"
)

// Evaluate says which variant of an experiment the user with a key has, and takes it for an exposure: who asks is about to show it.
func (l *Lab) Evaluate(ctx context.Context, app, env, name, key string) (api.Evaluation, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	r := l.runs[semper.Environment{App: app, Name: env}.Key()][name]
	if r == nil || r.trial != nil || r.state == nil {
		return api.Evaluation{}, unknown(app, env, name)
	}
	out, seen, ok := r.evaluate(key)
	if !ok {
		return api.Evaluation{}, unknown(app, env, name)
	}
	if out.Reason != reasonSplit {
		return out, nil
	}
	seen.At = l.now().UnixMilli()
	if news := r.state.News([]experiment.Exposed{seen}); len(news) > 0 {
		if err := l.take(ctx, map[*run]*experiment.Entry{r: {Exposures: news}}); err != nil {
			return api.Evaluation{}, away("evaluate a flag", err)
		}
	}
	return out, nil
}

// EvaluateAll says which variants the user with a key has, in the order of the experiments' names. Nobody is exposed by it: who asks
// for all shows some of them, or none.
func (l *Lab) EvaluateAll(app, env, key string) []api.Evaluation {
	l.mu.Lock()
	defer l.mu.Unlock()
	runs, out := l.runs[semper.Environment{App: app, Name: env}.Key()], []api.Evaluation{}
	for _, name := range slices.Sorted(maps.Keys(runs)) {
		if r := runs[name]; r.trial == nil {
			if e, _, ok := r.evaluate(key); ok {
				out = append(out, e)
			}
		}
	}
	return out
}

// Reasons of the OpenFeature Remote Evaluation Protocol.
const (
	reasonSplit   = "SPLIT"
	reasonStatic  = "STATIC"
	reasonDefault = "DEFAULT"
)

// evaluate is the variant of the user with a key, and what an exposure to it is; false where nobody has a variant.
func (r *run) evaluate(key string) (out api.Evaluation, seen experiment.Exposed, ok bool) {
	v, ok := r.x.Variation()
	if !ok {
		return out, seen, false
	}
	number, at := v.Place(route.Hash([]byte(key), design.UserSalt))
	out = api.Evaluation{Key: r.x.Plan.Name, Reason: reasonSplit, Metadata: map[string]string{"experiment": r.x.Plan.Name, "run": r.x.Run}}
	switch {
	case at == design.NoVariant:
		out.Reason = reasonDefault
		return out, seen, true
	case v.Quiet:
		out.Reason = reasonStatic
	}
	out.Variant, out.Value = v.Variants[at].Name, v.Variants[at].Name
	return out, experiment.Exposed{User: number, Variant: at}, true
}

func unknown(app, env, name string) error {
	return &semper.Error{Code: semper.NotFound, Op: "evaluate a flag", Message: fmt.Sprintf("no experiment %q of %s/%s runs", name, app, env), Hint: "semper experiment list"}
}
