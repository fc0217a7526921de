package api

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strings"

	"semper"
)

// What follows is the OpenFeature Remote Evaluation Protocol, OFREP, as its OpenAPI document has it: one flag for a server that is about
// to show it, and all of them for a client that keeps them and asks again from time to time whether they are still the same.

// Evaluate implements [Experiments].
func (c *Client) Evaluate(ctx context.Context, app, env, flag, targetingKey string) (Evaluation, error) {
	var b ofrepBody
	b.Context.TargetingKey = targetingKey
	return post[Evaluation](ctx, c, "/ofrep/v1/evaluate/flags/"+url.PathEscape(flag)+"?"+params("app", app, "env", env).Encode(), b, true)
}

// EvaluateAll implements [Experiments].
func (c *Client) EvaluateAll(ctx context.Context, app, env, targetingKey string) ([]Evaluation, error) {
	var b ofrepBody
	b.Context.TargetingKey = targetingKey
	all, err := post[ofrepFlags](ctx, c, "/ofrep/v1/evaluate/flags?"+params("app", app, "env", env).Encode(), b, true)
	return all.Flags, err
}

// ofrepBody is a request. Its context may have anything besides.
type ofrepBody struct {
	Context struct {
		TargetingKey string `json:"targetingKey"`
	} `json:"context"`
}

// ofrepFlags is the answer to a request for all.
type ofrepFlags struct {
	Flags []Evaluation `json:"flags"`
}

// ofrepError is the answer where there is no evaluation.
type ofrepError struct {
	Key     string `json:"key,omitempty"`
	Code    string `json:"errorCode"`
	Details string `json:"errorDetails,omitempty"`
}

// ofrep reads a request for flags: whose app it is of, and which user. What is wrong it answers itself, with the statuses that the
// protocol names.
func (v *server) ofrep(w http.ResponseWriter, r *http.Request, flag string) (app, user string, ok bool) {
	app, err := v.appOf(r, r.URL.Query().Get("app")) // FormValue would read the body where nobody says that it is JSON
	if err != nil {
		v.refused(w, r, err)
		return "", "", false
	}
	var b ofrepBody
	switch err := json.NewDecoder(http.MaxBytesReader(w, r.Body, 1<<20)).Decode(&b); {
	case err != nil && !errors.Is(err, io.EOF):
		failFlag(w, http.StatusBadRequest, ofrepError{flag, "PARSE_ERROR", err.Error()})
		return "", "", false
	case b.Context.TargetingKey == "":
		failFlag(w, http.StatusBadRequest, ofrepError{flag, "TARGETING_KEY_MISSING", "a user falls on a variant by the context's targetingKey"})
		return "", "", false
	}
	return app, b.Context.TargetingKey, true
}

func failFlag(w http.ResponseWriter, status int, e ofrepError) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	json.NewEncoder(w).Encode(e) //nolint:errcheck // whoever asked is gone
}

// evaluate answers the request for one flag.
func (v *server) evaluate(w http.ResponseWriter, r *http.Request) {
	key := r.PathValue("key")
	app, user, ok := v.ofrep(w, r, key)
	if !ok {
		return
	}
	e, err := v.s.Evaluate(r.Context(), app, r.URL.Query().Get("env"), key, user)
	switch semper.CodeOf(err) {
	case "":
		v.answer(w, r, e)
	case semper.NotFound:
		failFlag(w, http.StatusNotFound, ofrepError{key, "FLAG_NOT_FOUND", err.Error()})
	default:
		v.fail(w, r, err)
	}
}

// evaluateAll answers the request for all flags. Its ETag is what a client asks with whether they are still the same.
func (v *server) evaluateAll(w http.ResponseWriter, r *http.Request) {
	app, user, ok := v.ofrep(w, r, "")
	if !ok {
		return
	}
	all, err := v.s.EvaluateAll(r.Context(), app, r.URL.Query().Get("env"), user)
	if err != nil {
		v.fail(w, r, err)
		return
	}
	b, err := json.Marshal(ofrepFlags{list(all)})
	if err != nil {
		v.fail(w, r, err)
		return
	}
	tag := `"` + semper.DigestOf(b).Short() + `"`
	w.Header().Set("ETag", tag)
	for one := range strings.SplitSeq(r.Header.Get("If-None-Match"), ",") {
		if one = strings.TrimPrefix(strings.TrimSpace(one), "W/"); one == tag || one == "*" {
			w.WriteHeader(http.StatusNotModified)
			return
		}
	}
	w.Header().Set("Content-Type", "application/json")
	w.Write(b) //nolint:errcheck // whoever asked is gone
}
