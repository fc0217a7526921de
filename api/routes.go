package api

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strconv"

	"semper"
)

// call is one API method that answers with one value.
type call func(r *http.Request) (any, error)

// routes is the whole API: one line per method of [Service].
func (v *server) routes() http.Handler {
	mux := http.NewServeMux()
	v.views(mux)
	v.changes(mux)
	v.delivery(mux)
	v.experiments(mux)
	v.queues(mux)
	v.tasks(mux)
	mux.HandleFunc("HEAD /v1/artifacts/{digest}", v.hasArtifact)
	mux.HandleFunc("PUT /v1/artifacts/{digest}", v.putArtifact)
	mux.HandleFunc("GET /v1/metrics", v.metrics)
	mux.HandleFunc("GET /v1/events", v.events)
	mux.HandleFunc("GET /v1/logs", v.logs)
	mux.HandleFunc("GET /v1/rollouts/{id}", v.waitRollout)
	mux.HandleFunc("POST /v1/upgrade", v.upgrade)
	mux.HandleFunc("/v1/", func(w http.ResponseWriter, r *http.Request) {
		v.fail(w, r, &semper.Error{
			Code: semper.NotFound, Message: "this server has no " + r.Method + " " + r.URL.Path,
			Hint: "the client may be newer than the server: compare `semper version` on both sides",
		})
	})
	return mux
}

// one offers a call that answers with one value.
func (v *server) one(mux *http.ServeMux, pattern string, c call) {
	mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
		value, err := c(r)
		if err != nil {
			v.fail(w, r, err)
			return
		}
		v.answer(w, r, value)
	})
}

func (v *server) views(mux *http.ServeMux) {
	v.one(mux, "GET /v1/info", func(r *http.Request) (any, error) { return v.s.Info(r.Context()) })
	v.one(mux, "GET /v1/overview", func(r *http.Request) (any, error) { return v.s.Overview(r.Context()) })
	v.one(mux, "GET /v1/status", func(r *http.Request) (any, error) {
		return v.s.Status(r.Context(), r.FormValue("app"), r.FormValue("env"))
	})
	v.one(mux, "GET /v1/traffic", func(r *http.Request) (any, error) {
		return v.s.Traffic(r.Context(), r.FormValue("app"), r.FormValue("env"))
	})
	v.one(mux, "GET /v1/rollouts/{id}/verdict", v.judgement)
	v.one(mux, "GET /v1/certificates", func(r *http.Request) (any, error) {
		l, err := v.s.Certificates(r.Context())
		return list(l), err
	})
	v.one(mux, "GET /v1/releases", func(r *http.Request) (any, error) {
		l, err := v.s.Releases(r.Context(), r.FormValue("app"))
		return list(l), err
	})
	v.one(mux, "GET /v1/releases/diff", func(r *http.Request) (any, error) {
		return v.s.ReleaseDiff(r.Context(), r.FormValue("app"), semper.ReleaseName(r.FormValue("from")), semper.ReleaseName(r.FormValue("to")))
	})
	v.one(mux, "GET /v1/tree", func(r *http.Request) (any, error) { return v.s.Tree(r.Context()) })
	v.one(mux, "GET /v1/crashes", func(r *http.Request) (any, error) {
		l, err := v.s.Crashes(r.Context(), r.FormValue("app"))
		return list(l), err
	})
	v.one(mux, "GET /v1/crashes/{id}", func(r *http.Request) (any, error) { return v.s.Crash(r.Context(), r.PathValue("id")) })
	v.one(mux, "GET /v1/doctor", func(r *http.Request) (any, error) {
		l, err := v.s.Doctor(r.Context())
		return list(l), err
	})
	v.one(mux, "GET /v1/secrets", func(r *http.Request) (any, error) {
		l, err := v.s.Secrets(r.Context(), r.FormValue("app"))
		return list(l), err
	})
}

func (v *server) changes(mux *http.ServeMux) {
	v.one(mux, "POST /v1/plan", v.plan)
	v.one(mux, "POST /v1/deploy", v.deploy)
	v.one(mux, "POST /v1/rollback", change(func(r *http.Request, b changeBody) (any, error) {
		return v.s.Rollback(r.Context(), b.App, b.Environment, b.Release, b.By)
	}))
	v.one(mux, "POST /v1/scale", change(func(r *http.Request, b changeBody) (any, error) {
		return v.s.Scale(r.Context(), b.App, b.Environment, b.Scale, b.By)
	}))
	v.one(mux, "POST /v1/restart", change(func(r *http.Request, b changeBody) (any, error) {
		return v.s.Restart(r.Context(), b.App, b.Environment, b.Services, b.By)
	}))
	v.one(mux, "POST /v1/abort", change(func(r *http.Request, b changeBody) (any, error) {
		return v.s.Abort(r.Context(), b.App, b.Environment, b.By)
	}))
	v.one(mux, "POST /v1/promote", change(func(r *http.Request, b changeBody) (any, error) {
		return v.s.Promote(r.Context(), b.App, b.Environment, Promotion{Full: b.Full, Step: b.Step, By: b.By})
	}))
	v.one(mux, "POST /v1/rollout/pause", change(func(r *http.Request, b changeBody) (any, error) {
		return v.s.Pause(r.Context(), b.App, b.Environment, b.By)
	}))
	v.one(mux, "POST /v1/rollout/resume", change(func(r *http.Request, b changeBody) (any, error) {
		return v.s.ResumeRollout(r.Context(), b.App, b.Environment, b.By)
	}))
	v.one(mux, "POST /v1/hold", v.holding(v.s.Hold))
	v.one(mux, "POST /v1/resume", v.holding(v.s.Resume))
	v.one(mux, "POST /v1/releases/gc", v.gc)
	v.one(mux, "POST /v1/secrets", v.setSecret)
}

// holding is a call that begins or ends a hold.
func (v *server) holding(do func(ctx context.Context, app, env string, h HoldRequest) (semper.Epoch, error)) call {
	return func(r *http.Request) (any, error) {
		var b holdBody
		if err := read(r, &b); err != nil {
			return nil, err
		}
		b.By = by(r, b.By)
		epoch, err := do(r.Context(), b.App, b.Environment, b.HoldRequest)
		return epochBody{epoch}, err
	}
}

// list is l, never null: an empty list is [] in JSON.
func list[T any](l []T) []T {
	if l == nil {
		return []T{}
	}
	return l
}

func change(do func(r *http.Request, b changeBody) (any, error)) call {
	return func(r *http.Request) (any, error) {
		var b changeBody
		if err := read(r, &b); err != nil {
			return nil, err
		}
		b.By = by(r, b.By)
		return do(r, b)
	}
}

// read takes the body's one JSON value. What the server does not know it refuses: dropping a key of
// a spec in silence would deploy something else than was asked for.
func read(r *http.Request, into any) error {
	d := json.NewDecoder(http.MaxBytesReader(nil, r.Body, maxBody))
	d.DisallowUnknownFields()
	err := d.Decode(into)
	if err == nil {
		if _, more := d.Token(); !errors.Is(more, io.EOF) {
			err = errors.New("more than one value")
		}
	}
	if err == nil {
		return nil
	}
	if big, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return &semper.Error{Code: semper.Invalid, Message: "the request is larger than " + strconv.FormatInt(big.Limit, 10) + " bytes"}
	}
	if e, ok := errors.AsType[*semper.Error](err); ok {
		return e
	}
	return &semper.Error{Code: semper.Invalid, Op: "read request", Message: err.Error(), Hint: "the client may be newer than the server: compare `semper version` on both sides"}
}

func (v *server) plan(r *http.Request) (any, error) {
	var b DeployRequest
	if err := read(r, &b); err != nil {
		return nil, err
	}
	b.By = by(r, b.By)
	return v.s.Plan(r.Context(), b)
}

func (v *server) deploy(r *http.Request) (any, error) {
	var b DeployRequest
	if err := read(r, &b); err != nil {
		return nil, err
	}
	b.By = by(r, b.By)
	return v.s.Deploy(r.Context(), b)
}

func (v *server) gc(r *http.Request) (any, error) {
	var b gcBody
	if err := read(r, &b); err != nil {
		return nil, err
	}
	return v.s.GC(r.Context(), b.App, b.Keep, b.DryRun)
}

func (v *server) setSecret(r *http.Request) (any, error) {
	var b secretBody
	if err := read(r, &b); err != nil {
		return nil, err
	}
	version, err := v.s.SetSecret(r.Context(), b.App, b.Name, b.Value, by(r, b.By))
	return versionBody{version}, err
}

func digestOf(r *http.Request) (semper.Digest, error) {
	d := semper.Digest(r.PathValue("digest"))
	if !d.Valid() {
		return "", &semper.Error{Code: semper.Invalid, Message: strconv.Quote(string(d)) + " is not a digest", Hint: "sha256: and 64 lower-case hex digits"}
	}
	return d, nil
}

// metrics answers a scrape of Prometheus, in the form it likes.
func (v *server) metrics(w http.ResponseWriter, r *http.Request) {
	m, err := v.s.Metrics(r.Context(), r.FormValue("edge"), cmp.Or(r.FormValue("accept"), r.Header.Get("Accept")))
	if err != nil {
		v.fail(w, r, err)
		return
	}
	w.Header().Set("Content-Type", m.ContentType)
	_, _ = w.Write(m.Text) // the client went away: nobody to tell
}

// hasArtifact answers 204 or 404 without a body, as HEAD must.
func (v *server) hasArtifact(w http.ResponseWriter, r *http.Request) {
	d, err := digestOf(r)
	if err != nil {
		v.fail(w, r, err)
		return
	}
	has, err := v.s.HasArtifact(r.Context(), d)
	switch {
	case err != nil:
		v.fail(w, r, err)
	case has:
		w.WriteHeader(http.StatusNoContent)
	default:
		w.WriteHeader(http.StatusNotFound)
	}
}

func (v *server) putArtifact(w http.ResponseWriter, r *http.Request) {
	d, err := digestOf(r)
	if err != nil {
		v.fail(w, r, err)
		return
	}
	if err := v.s.PutArtifact(r.Context(), d, http.MaxBytesReader(w, r.Body, maxArtifact)); err != nil {
		v.fail(w, r, err)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}
