package api

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"time"

	"semper"
	"semper/pipeline/course"
)

// Delivery is what the API offers of pipelines and of those who may have a say in them. Who calls is in ctx: [CallerOf].
type Delivery interface {
	// Pipelines are those of all apps, or of one.
	Pipelines(ctx context.Context, app string) ([]PipelineStatus, error)
	// StartRun makes a release of what r says and sends it on its way. The environment of r is not looked at.
	StartRun(ctx context.Context, r DeployRequest) (course.Run, error)
	// Approve, Reject and Rerun are about the run of an id; empty: the one that the command can be about, if it is only one.
	Approve(ctx context.Context, app, run, why string) (course.Run, error)
	Reject(ctx context.Context, app, run, why string) (course.Run, error)
	Rerun(ctx context.Context, app, run string) (course.Run, error)
	// SetLine stops the line of an app, or of all where app is empty, or lets it go on.
	SetLine(ctx context.Context, app string, stopped bool, why string) (course.Line, error)
	// Attestations are the statements about a release.
	Attestations(ctx context.Context, app string, release semper.ReleaseName) ([]Attestation, error)
	// SigningKeys are those whose statements count or have counted, the newest first.
	SigningKeys(ctx context.Context) ([]SigningKey, error)
	// RotateKey has statements signed with another key; what was signed before stays good.
	RotateKey(ctx context.Context) (SigningKey, error)
	// RevokeKey has nothing count any more that a key has signed. id may be its beginning.
	RevokeKey(ctx context.Context, id, why string) (SigningKey, error)
	// Users may call over TCP, besides who has the server's own token.
	Users(ctx context.Context) ([]User, error)
	// AddUser gives somebody a token, which is nowhere else afterwards. Who has one already gets another.
	AddUser(ctx context.Context, u User) (token string, err error)
	RemoveUser(ctx context.Context, name string) error
}

// PipelineStatus is how it stands with the pipeline of an app.
type PipelineStatus struct {
	Pipeline semper.Pipeline `json:"pipeline"`
	Stopped  string          `json:"stopped,omitempty"` // why the line is stopped
	// Serving is the release of each environment.
	Serving map[string]semper.ReleaseName `json:"serving"`
	Runs    []RunStatus                   `json:"runs"` // the newest first
	// Webhooks are told apart by their place in the pipeline.
	Webhooks []WebhookStatus `json:"webhooks,omitempty"`
}

// RunStatus is a run and what it waits for.
type RunStatus struct {
	course.Run
	Waiting string `json:"waiting,omitempty"`
	// Asks are of whom one has to say yes.
	Asks []string `json:"asks,omitempty"`
}

// WebhookStatus is how it stands with what a webhook is told.
type WebhookStatus struct {
	URL    string    `json:"url"`
	Seq    int64     `json:"seq"`              // of the newest event that it has, or that was given up
	Behind int64     `json:"behind,omitempty"` // events that wait
	Missed int64     `json:"missed,omitempty"` // events that were given up
	Fails  int       `json:"fails,omitempty"`  // in a row
	Error  string    `json:"error,omitempty"`
	Next   time.Time `json:"next,omitzero"` // when it is tried again
	Gone   bool      `json:"gone,omitempty"`
}

// Attestation is a signed statement about a release.
type Attestation struct {
	Name        string             `json:"name"`
	Release     semper.ReleaseName `json:"release"`
	Environment string             `json:"environment"`
	Gate        string             `json:"gate"`
	Kind        semper.GateKind    `json:"kind"`
	At          time.Time          `json:"at"`
	By          string             `json:"by,omitempty"`
	Why         string             `json:"why,omitempty"`
	Expires     time.Time          `json:"expires,omitzero"`
	Run         string             `json:"run"`
	Key         string             `json:"key"`
	Invalid     string             `json:"invalid,omitempty"` // why it does not count
	Envelope    json.RawMessage    `json:"envelope"`          // DSSE, as stored
}

// A KeyState says what the statements of a key are worth.
type KeyState string

// The states of a key.
const (
	KeySigns   KeyState = "signs"   // and what it has signed counts
	KeyRetired KeyState = "retired" // what it has signed counts
	KeyRevoked KeyState = "revoked" // nothing of it counts
)

// A SigningKey signs statements about releases. Of the key itself it has the public half alone.
type SigningKey struct {
	ID         string    `json:"id"`     // SHA-256 of Public, in hexadecimal
	Public     []byte    `json:"public"` // of Ed25519
	Generation int       `json:"generation"`
	State      KeyState  `json:"state"`
	From       time.Time `json:"from"`
	Until      time.Time `json:"until,omitzero"` // it was retired
	RevokedAt  time.Time `json:"revoked_at,omitzero"`
	RevokedBy  string    `json:"revoked_by,omitempty"`
	Why        string    `json:"why,omitempty"` // it was revoked
}

// keyBody is a command about a key.
type keyBody struct {
	ID  string `json:"id,omitempty"`
	Why string `json:"why,omitempty"`
}

// A User may call over TCP.
type User struct {
	Caller
	AddedBy string    `json:"added_by,omitempty"`
	AddedAt time.Time `json:"added_at,omitzero"`
}

// runBody is a command about a run.
type runBody struct {
	App string `json:"app,omitempty"`
	Run string `json:"run,omitempty"`
	Why string `json:"why,omitempty"`
}

type lineBody struct {
	App     string `json:"app,omitempty"`
	Stopped bool   `json:"stopped"`
	Why     string `json:"why,omitempty"`
}

type tokenBody struct {
	Token string `json:"token"`
}

func (v *server) delivery(mux *http.ServeMux) {
	v.one(mux, "GET /v1/pipelines", func(r *http.Request) (any, error) {
		l, err := v.s.Pipelines(r.Context(), r.FormValue("app"))
		return list(l), err
	})
	v.one(mux, "GET /v1/attestations", func(r *http.Request) (any, error) {
		l, err := v.s.Attestations(r.Context(), r.FormValue("app"), semper.ReleaseName(r.FormValue("release")))
		return list(l), err
	})
	v.one(mux, "GET /v1/pipelines/keys", func(r *http.Request) (any, error) {
		l, err := v.s.SigningKeys(r.Context())
		return list(l), err
	})
	v.one(mux, "POST /v1/pipelines/keys/rotate", func(r *http.Request) (any, error) { return v.s.RotateKey(r.Context()) })
	v.one(mux, "POST /v1/pipelines/keys/revoke", given(func(r *http.Request, b keyBody) (any, error) {
		return v.s.RevokeKey(r.Context(), b.ID, b.Why)
	}))
	v.one(mux, "GET /v1/users", func(r *http.Request) (any, error) {
		l, err := v.s.Users(r.Context())
		return list(l), err
	})
	v.one(mux, "POST /v1/runs", given(func(r *http.Request, b DeployRequest) (any, error) {
		b.By = by(r, b.By)
		return v.s.StartRun(r.Context(), b)
	}))
	for path, do := range map[string]func(context.Context, string, string, string) (course.Run, error){
		"approve": v.s.Approve, "reject": v.s.Reject,
		"rerun": func(ctx context.Context, app, run, _ string) (course.Run, error) { return v.s.Rerun(ctx, app, run) },
	} {
		v.one(mux, "POST /v1/runs/"+path, given(func(r *http.Request, b runBody) (any, error) { return do(r.Context(), b.App, b.Run, b.Why) }))
	}
	v.one(mux, "POST /v1/line", given(func(r *http.Request, b lineBody) (any, error) {
		return v.s.SetLine(r.Context(), b.App, b.Stopped, b.Why)
	}))
	v.one(mux, "POST /v1/users", given(func(r *http.Request, u User) (any, error) {
		token, err := v.s.AddUser(r.Context(), u)
		return tokenBody{token}, err
	}))
	v.one(mux, "POST /v1/users/remove", given(func(r *http.Request, u User) (any, error) {
		return struct{}{}, v.s.RemoveUser(r.Context(), u.Name)
	}))
}

// given is a call with a body.
func given[T any](do func(*http.Request, T) (any, error)) call {
	return func(r *http.Request) (any, error) {
		var b T
		if err := read(r, &b); err != nil {
			return nil, err
		}
		return do(r, b)
	}
}

// Pipelines implements [Delivery].
func (c *Client) Pipelines(ctx context.Context, app string) ([]PipelineStatus, error) {
	return get[[]PipelineStatus](ctx, c, "/v1/pipelines", params("app", app))
}

// StartRun implements [Delivery].
func (c *Client) StartRun(ctx context.Context, r DeployRequest) (course.Run, error) {
	return post[course.Run](ctx, c, "/v1/runs", r, false)
}

// Approve implements [Delivery].
func (c *Client) Approve(ctx context.Context, app, run, why string) (course.Run, error) {
	return post[course.Run](ctx, c, "/v1/runs/approve", runBody{app, run, why}, false)
}

// Reject implements [Delivery].
func (c *Client) Reject(ctx context.Context, app, run, why string) (course.Run, error) {
	return post[course.Run](ctx, c, "/v1/runs/reject", runBody{app, run, why}, false)
}

// Rerun implements [Delivery].
func (c *Client) Rerun(ctx context.Context, app, run string) (course.Run, error) {
	return post[course.Run](ctx, c, "/v1/runs/rerun", runBody{App: app, Run: run}, false)
}

// SetLine implements [Delivery].
func (c *Client) SetLine(ctx context.Context, app string, stopped bool, why string) (course.Line, error) {
	return post[course.Line](ctx, c, "/v1/line", lineBody{app, stopped, why}, true)
}

// Attestations implements [Delivery].
func (c *Client) Attestations(ctx context.Context, app string, release semper.ReleaseName) ([]Attestation, error) {
	return get[[]Attestation](ctx, c, "/v1/attestations", url.Values{"app": {app}, "release": {string(release)}})
}

// SigningKeys implements [Delivery].
func (c *Client) SigningKeys(ctx context.Context) ([]SigningKey, error) {
	return get[[]SigningKey](ctx, c, "/v1/pipelines/keys", nil)
}

// RotateKey implements [Delivery].
func (c *Client) RotateKey(ctx context.Context) (SigningKey, error) {
	return post[SigningKey](ctx, c, "/v1/pipelines/keys/rotate", struct{}{}, false)
}

// RevokeKey implements [Delivery].
func (c *Client) RevokeKey(ctx context.Context, id, why string) (SigningKey, error) {
	return post[SigningKey](ctx, c, "/v1/pipelines/keys/revoke", keyBody{id, why}, true)
}

// Users implements [Delivery].
func (c *Client) Users(ctx context.Context) ([]User, error) {
	return get[[]User](ctx, c, "/v1/users", nil)
}

// AddUser implements [Delivery].
func (c *Client) AddUser(ctx context.Context, u User) (string, error) {
	b, err := post[tokenBody](ctx, c, "/v1/users", u, false)
	return b.Token, err
}

// RemoveUser implements [Delivery].
func (c *Client) RemoveUser(ctx context.Context, name string) error {
	_, err := post[struct{}](ctx, c, "/v1/users/remove", User{Caller: Caller{Name: name}}, true)
	return err
}
