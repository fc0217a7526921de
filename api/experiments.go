package api

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"semper"
	"semper/experiment"
	"semper/experiment/design"
)

// Experiments is what the API offers of A/B tests; a [Service] does. Methods are safe for concurrent use.
type Experiments interface {
	// Experiments are those of app and env, with what is known of them.
	Experiments(ctx context.Context, app, env string) ([]ExperimentInfo, error)
	// StartExperiment starts one, or declares it only. It returns when every edge knows.
	StartExperiment(ctx context.Context, app, env string, plan design.Plan, draft bool, by string) error
	// EndExperiment stops one; where winner is a variant, every user has that from now on.
	EndExperiment(ctx context.Context, app, env, name, winner, by string) error
	// PushMetrics takes values. What it took is stored when it returns; what is wrong with the others stands in the answer.
	PushMetrics(ctx context.Context, b MetricBatch) (MetricAnswer, error)
	// Evaluate says which variant a user has, and takes it for an exposure.
	Evaluate(ctx context.Context, app, env, flag, targetingKey string) (Evaluation, error)
	// EvaluateAll says which variants a user has of all experiments that run. Nobody is exposed by it.
	EvaluateAll(ctx context.Context, app, env, targetingKey string) ([]Evaluation, error)
}

// ExperimentInfo is an experiment as it is shown: without its secret.
type ExperimentInfo struct {
	App         string       `json:"app"`
	Environment string       `json:"environment"`
	Plan        design.Plan  `json:"plan"`
	Run         string       `json:"run"`
	State       design.State `json:"state"`
	By          string       `json:"by,omitempty"`
	StartedAt   time.Time    `json:"started_at,omitzero"`
	DecidedAt   time.Time    `json:"decided_at,omitzero"`
	EndedAt     time.Time    `json:"ended_at,omitzero"`
	Winner      string       `json:"winner,omitempty"` // of the decision, or who was promoted
	Why         string       `json:"why,omitempty"`    // the decision in a sentence
	// Of an experiment of releases: the one that was current, the rollout to the winner, and why it ended though nobody stopped it.
	Against semper.ReleaseName `json:"against,omitempty"`
	Rollout string             `json:"rollout,omitempty"`
	Ended   string             `json:"ended,omitempty"`
	Report  *experiment.Report `json:"report,omitempty"`
}

// MaxValues is how many values a batch has at most.
const MaxValues = 1000

// MetricBatch is the body of POST /v1/experiments/metrics.
type MetricBatch struct {
	App         string        `json:"app,omitempty"`         // empty: the token's
	Environment string        `json:"environment,omitempty"` // empty: whichever has an experiment
	Values      []MetricValue `json:"values"`
}

// MetricValue is what a user did. A tracking event of OpenFeature is one: its name is the metric, its targeting key the user.
type MetricValue struct {
	ID           string            `json:"id"` // the same value has the same id whenever it is pushed
	Metric       string            `json:"metric"`
	Value        *float64          `json:"value,omitempty"`         // nil: 1
	TargetingKey string            `json:"targeting_key,omitempty"` // the user, as the experiment's By has it; stored as a keyed hash
	Experiment   string            `json:"experiment,omitempty"`    // empty: every one that has the metric
	Key          string            `json:"key,omitempty"`           // instead of TargetingKey: what [design.KeyField] had for the experiment
	Instance     string            `json:"instance,omitempty"`      // who pushes, as SEMPER_INSTANCE has it: by it a rollout's judge knows the side
	At           time.Time         `json:"at,omitzero"`             // zero: now
	Segments     map[string]string `json:"segments,omitempty"`      // of the user; the first word for each stays
}

// MetricAnswer says what became of a batch.
type MetricAnswer struct {
	Taken  int           `json:"taken"`
	Known  int           `json:"known,omitempty"`  // were taken before
	Unused int           `json:"unused,omitempty"` // of a metric that a judge asks for, while nobody is on trial, or of an instance of neither side
	Errors []MetricError `json:"errors"`
}

// MetricError is what is wrong with one value of a batch. The others were taken.
type MetricError struct {
	Index   int    `json:"index"`
	ID      string `json:"id,omitempty"`
	Message string `json:"message"`
}

// Evaluation is a flag of the OpenFeature Remote Evaluation Protocol: the experiment's variant, as a string.
type Evaluation struct {
	Key      string            `json:"key"`
	Value    string            `json:"value,omitempty"`
	Variant  string            `json:"variant,omitempty"`
	Reason   string            `json:"reason"` // SPLIT; STATIC of a promoted variant; DEFAULT of a user who takes no part: the caller's default holds
	Metadata map[string]string `json:"metadata,omitempty"`
}

type startBody struct {
	App         string      `json:"app"`
	Environment string      `json:"environment"`
	Plan        design.Plan `json:"plan"`
	Draft       bool        `json:"draft,omitempty"`
	By          string      `json:"by,omitempty"`
}

type endBody struct {
	App         string `json:"app"`
	Environment string `json:"environment"`
	Winner      string `json:"winner,omitempty"`
	By          string `json:"by,omitempty"`
}

type metricsTokenBody struct {
	Token string `json:"token"`
}

// Experiments implements [Experiments].
func (c *Client) Experiments(ctx context.Context, app, env string) ([]ExperimentInfo, error) {
	return get[[]ExperimentInfo](ctx, c, "/v1/experiments", params("app", app, "env", env))
}

// StartExperiment implements [Experiments].
func (c *Client) StartExperiment(ctx context.Context, app, env string, plan design.Plan, draft bool, by string) error {
	_, err := post[struct{}](ctx, c, "/v1/experiments", startBody{app, env, plan, draft, by}, false)
	return err
}

// EndExperiment implements [Experiments].
func (c *Client) EndExperiment(ctx context.Context, app, env, name, winner, by string) error {
	_, err := post[struct{}](ctx, c, "/v1/experiments/"+url.PathEscape(name)+"/end", endBody{app, env, winner, by}, true)
	return err
}

// PushMetrics implements [Experiments]. It may be tried again: values are known by their ids.
func (c *Client) PushMetrics(ctx context.Context, b MetricBatch) (MetricAnswer, error) {
	return post[MetricAnswer](ctx, c, "/v1/experiments/metrics", b, true)
}

// MetricsToken is what an app needs to push its values and to evaluate its experiments, and good for nothing else.
func (c *Client) MetricsToken(ctx context.Context, app string) (string, error) {
	b, err := get[metricsTokenBody](ctx, c, "/v1/experiments/token", params("app", app))
	return b.Token, err
}

func (v *server) experiments(mux *http.ServeMux) {
	v.one(mux, "GET /v1/experiments", func(r *http.Request) (any, error) {
		l, err := v.s.Experiments(r.Context(), r.FormValue("app"), r.FormValue("env"))
		return list(l), err
	})
	v.one(mux, "POST /v1/experiments", func(r *http.Request) (any, error) {
		var b startBody
		if err := read(r, &b); err != nil {
			return nil, err
		}
		return struct{}{}, v.s.StartExperiment(r.Context(), b.App, b.Environment, b.Plan, b.Draft, by(r, b.By))
	})
	v.one(mux, "POST /v1/experiments/{name}/end", func(r *http.Request) (any, error) {
		var b endBody
		if err := read(r, &b); err != nil {
			return nil, err
		}
		return struct{}{}, v.s.EndExperiment(r.Context(), b.App, b.Environment, r.PathValue("name"), b.Winner, by(r, b.By))
	})
	v.one(mux, "GET /v1/experiments/token", func(r *http.Request) (any, error) {
		app, server := r.FormValue("app"), v.token()
		if app == "" {
			return nil, &semper.Error{Code: semper.Invalid, Message: "a token is of one app", Hint: "-a APP"}
		}
		if server == "" {
			return nil, &semper.Error{Code: semper.Forbidden, Message: "this server takes no token, so nothing over TCP"}
		}
		return metricsTokenBody{metricsToken(server, app)}, nil
	})
}

// metricsPrefix begins every token of an app.
const metricsPrefix = "semper-metrics."

// metricsToken is an app's: it dies with the server's token, of which it is made, and which nobody can make of it.
func metricsToken(server, app string) string {
	m := hmac.New(sha256.New, []byte(server))
	_, _ = io.WriteString(m, "semper metrics 1 "+app) // a hash never fails
	return metricsPrefix + app + "." + hex.EncodeToString(m.Sum(nil))
}

// allow is nil where whoever calls may do what r asks for.
func (v *server) allow(r *http.Request) error {
	who, err := v.identify(r)
	if err != nil || overUnix(r) {
		return err
	}
	if c := who(); !c.Role.Includes(least(r)) {
		return mayNot(c, least(r))
	}
	return nil
}

// appOf is the app that r may speak for: the token's, or with all rights the one that it names.
func (v *server) appOf(r *http.Request, named string) (string, error) {
	given, _ := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	rest, ok := strings.CutPrefix(given, metricsPrefix)
	if !ok {
		return named, v.allow(r)
	}
	app := rest[:max(strings.LastIndexByte(rest, '.'), 0)]
	token := v.token()
	if token == "" || !same(given, metricsToken(token, app)) {
		return "", &semper.Error{Code: semper.Forbidden, Message: "the token is not this server's", Hint: "semper experiment token -a APP prints the app's"}
	}
	if named != "" && named != app {
		return "", &semper.Error{Code: semper.Forbidden, Message: "the token is for the values of app " + app + ", not of " + named}
	}
	return app, nil
}

// refused answers who may not.
func (v *server) refused(w http.ResponseWriter, r *http.Request, err error) {
	if semper.CodeOf(err) == semper.Forbidden {
		v.refuseAPI(w, r, err)
		return
	}
	v.fail(w, r, err)
}

// pushMetrics takes a batch from an app, which need not be one that may do anything else.
func (v *server) pushMetrics(w http.ResponseWriter, r *http.Request) {
	if _, err := v.appOf(r, ""); err != nil { // before anything is read
		v.refused(w, r, err)
		return
	}
	var b MetricBatch
	err := read(r, &b)
	if e, ok := errors.AsType[*semper.Error](err); ok && e.Op == "read request" {
		e.Op, e.Hint = "push metrics", "nothing was taken; a body is JSON like {\"values\": [{\"id\": \"order-1\", \"metric\": \"revenue\", \"value\": 49.9, \"targeting_key\": \"u-42\"}]}"
	}
	if err == nil {
		b.App, err = v.appOf(r, b.App)
	}
	if n := len(b.Values); err == nil && (n == 0 || n > MaxValues) {
		err = &semper.Error{Code: semper.Invalid, Op: "push metrics", Message: "a batch of " + strconv.Itoa(n) + " values", Hint: "1 to " + strconv.Itoa(MaxValues)}
	}
	if err != nil {
		v.refused(w, r, err)
		return
	}
	a, err := v.s.PushMetrics(r.Context(), b)
	if err != nil {
		v.fail(w, r, err)
		return
	}
	v.answer(w, r, a)
}
