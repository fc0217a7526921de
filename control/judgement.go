package control

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"semper"
	"semper/api"
	"semper/control/judging"
	"semper/control/judging/telling"
)

// Judgement is what the judge's record of a rollout says; of the newest judged one where id is empty.
func (c *Control) Judgement(ctx context.Context, app, env, id string) (api.Judgement, error) {
	const op = "verify show"
	v, err := c.see(ctx, op)
	if err != nil {
		return api.Judgement{}, err
	}
	e, err := v.find(app, env)
	if err != nil {
		return api.Judgement{}, err
	}
	it, err := c.record(ctx, e.Key(), id)
	switch {
	case errors.Is(err, semper.ErrNotFound):
		return api.Judgement{}, &semper.Error{
			Code: semper.NotFound, Op: op, Message: fmt.Sprintf("no rollout of %s was judged%s", e.Key(), named(id)),
			Hint: "a release is judged when its deploy: has steps; the newest 20 judged rollouts are kept",
		}
	case err != nil:
		return api.Judgement{}, &semper.Error{Code: semper.Unavailable, Op: op, Message: "the judge's record is not readable", Hint: "semper doctor says what is wrong with the store", Err: err}
	}
	var r judging.Record
	if err := json.Unmarshal(it.Value, &r); err != nil {
		return api.Judgement{}, &semper.Error{Code: semper.Internal, Op: op, Message: fmt.Sprintf("the record at %s is not one of this version of semper", it.Key), Err: err}
	}
	out := telling.Of(&r)
	if ro := e.Rollout; ro != nil && ro.ID == r.Rollout {
		out.State = ro.State
	}
	return out, nil
}

func named(id string) string {
	if id == "" {
		return ""
	}
	return " as " + id
}

// record is the stored record of a rollout, or of the newest.
func (c *Control) record(ctx context.Context, env semper.EnvironmentKey, id string) (semper.Item, error) {
	prefix := preJudge + string(env) + "/"
	if id != "" {
		return c.o.Store.Get(ctx, prefix+id)
	}
	items, _, err := c.o.Store.List(ctx, prefix)
	if err != nil {
		return semper.Item{}, err
	}
	if len(items) == 0 {
		return semper.Item{}, semper.ErrNotFound
	}
	return slices.MaxFunc(items, func(a, b semper.Item) int { return naturally(a.Key, b.Key) }), nil
}
