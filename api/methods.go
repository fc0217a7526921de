package api

import (
	"context"
	"io"
	"net/http"
	"net/url"
	"strconv"

	"semper"
)

func params(pairs ...string) url.Values {
	q := url.Values{}
	for i := 0; i < len(pairs); i += 2 {
		if pairs[i+1] != "" {
			q.Set(pairs[i], pairs[i+1])
		}
	}
	return q
}

// Info implements [Service].
func (c *Client) Info(ctx context.Context) (ServerInfo, error) {
	return get[ServerInfo](ctx, c, "/v1/info", nil)
}

// Overview implements [Service].
func (c *Client) Overview(ctx context.Context) (Overview, error) {
	return get[Overview](ctx, c, "/v1/overview", nil)
}

// Status implements [Service].
func (c *Client) Status(ctx context.Context, app, env string) (Status, error) {
	return get[Status](ctx, c, "/v1/status", params("app", app, "env", env))
}

// Traffic implements [Service].
func (c *Client) Traffic(ctx context.Context, app, env string) (Traffic, error) {
	return get[Traffic](ctx, c, "/v1/traffic", params("app", app, "env", env))
}

// Metrics implements [Service].
func (c *Client) Metrics(ctx context.Context, edge, accept string) (Exposition, error) {
	res, err := c.send(ctx, request{method: http.MethodGet, path: "/v1/metrics", query: params("edge", edge, "accept", accept), repeatable: true})
	if err != nil {
		return Exposition{}, err
	}
	defer res.Body.Close() //nolint:errcheck // only read
	text, err := io.ReadAll(io.LimitReader(res.Body, maxMetrics))
	if err != nil {
		return Exposition{}, &semper.Error{Code: semper.Unavailable, Message: "the metrics broke off", Err: err}
	}
	return Exposition{ContentType: res.Header.Get("Content-Type"), Text: text}, nil
}

// maxMetrics bounds what is read of an edge's metrics.
const maxMetrics = 64 << 20

// HasArtifact implements [Service].
func (c *Client) HasArtifact(ctx context.Context, d semper.Digest) (bool, error) {
	res, err := c.send(ctx, request{method: http.MethodHead, path: "/v1/artifacts/" + url.PathEscape(string(d)), repeatable: true})
	if semper.CodeOf(err) == semper.NotFound {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	return true, res.Body.Close()
}

// PutArtifact implements [Service]. An r that can seek is sent again where that is needed; it is read
// from its start.
func (c *Client) PutArtifact(ctx context.Context, d semper.Digest, r io.Reader) error {
	q := request{method: http.MethodPut, path: "/v1/artifacts/" + url.PathEscape(string(d)), repeatable: true}
	if s, ok := r.(io.ReadSeeker); ok {
		q.body = s
	} else {
		q.stream = r
	}
	res, err := c.send(ctx, q)
	if err != nil {
		return err
	}
	return res.Body.Close()
}

// Plan implements [Service].
func (c *Client) Plan(ctx context.Context, r DeployRequest) (Plan, error) {
	return post[Plan](ctx, c, "/v1/plan", r, true)
}

// Deploy implements [Service].
func (c *Client) Deploy(ctx context.Context, r DeployRequest) (semper.Rollout, error) {
	return post[semper.Rollout](ctx, c, "/v1/deploy", r, false)
}

// Rollback implements [Service].
func (c *Client) Rollback(ctx context.Context, app, env string, release semper.ReleaseName, by string) (semper.Rollout, error) {
	return post[semper.Rollout](ctx, c, "/v1/rollback", changeBody{App: app, Environment: env, Release: release, By: by}, false)
}

// Scale implements [Service].
func (c *Client) Scale(ctx context.Context, app, env string, scale map[string]int, by string) (semper.Rollout, error) {
	return post[semper.Rollout](ctx, c, "/v1/scale", changeBody{App: app, Environment: env, Scale: scale, By: by}, false)
}

// Restart implements [Service].
func (c *Client) Restart(ctx context.Context, app, env string, services []string, by string) (semper.Rollout, error) {
	return post[semper.Rollout](ctx, c, "/v1/restart", changeBody{App: app, Environment: env, Services: services, By: by}, false)
}

// Abort implements [Service].
func (c *Client) Abort(ctx context.Context, app, env, by string) (semper.Rollout, error) {
	return post[semper.Rollout](ctx, c, "/v1/abort", changeBody{App: app, Environment: env, By: by}, false)
}

// Promote implements [Service].
func (c *Client) Promote(ctx context.Context, app, env string, p Promotion) (semper.Rollout, error) {
	return post[semper.Rollout](ctx, c, "/v1/promote", changeBody{App: app, Environment: env, Full: p.Full, Step: p.Step, By: p.By}, false)
}

// Pause implements [Service].
func (c *Client) Pause(ctx context.Context, app, env, by string) (semper.Rollout, error) {
	return post[semper.Rollout](ctx, c, "/v1/rollout/pause", changeBody{App: app, Environment: env, By: by}, true)
}

// ResumeRollout implements [Service].
func (c *Client) ResumeRollout(ctx context.Context, app, env, by string) (semper.Rollout, error) {
	return post[semper.Rollout](ctx, c, "/v1/rollout/resume", changeBody{App: app, Environment: env, By: by}, true)
}

// Hold implements [Service].
func (c *Client) Hold(ctx context.Context, app, env string, h HoldRequest) (semper.Epoch, error) {
	b, err := post[epochBody](ctx, c, "/v1/hold", holdBody{App: app, Environment: env, HoldRequest: h}, true)
	return b.Epoch, err
}

// Resume implements [Service].
func (c *Client) Resume(ctx context.Context, app, env string, h HoldRequest) (semper.Epoch, error) {
	b, err := post[epochBody](ctx, c, "/v1/resume", holdBody{App: app, Environment: env, HoldRequest: h}, true)
	return b.Epoch, err
}

// Releases implements [Service].
func (c *Client) Releases(ctx context.Context, app string) ([]ReleaseInfo, error) {
	return get[[]ReleaseInfo](ctx, c, "/v1/releases", params("app", app))
}

// ReleaseDiff implements [Service].
func (c *Client) ReleaseDiff(ctx context.Context, app string, from, to semper.ReleaseName) (ReleaseDiff, error) {
	return get[ReleaseDiff](ctx, c, "/v1/releases/diff", params("app", app, "from", string(from), "to", string(to)))
}

// GC implements [Service].
func (c *Client) GC(ctx context.Context, app string, keep int, dryRun bool) (GCReport, error) {
	return post[GCReport](ctx, c, "/v1/releases/gc", gcBody{App: app, Keep: keep, DryRun: dryRun}, true)
}

// Tree implements [Service].
func (c *Client) Tree(ctx context.Context) (TreeNode, error) {
	return get[TreeNode](ctx, c, "/v1/tree", nil)
}

// Crashes implements [Service].
func (c *Client) Crashes(ctx context.Context, app string) ([]semper.CrashReport, error) {
	return get[[]semper.CrashReport](ctx, c, "/v1/crashes", params("app", app))
}

// Crash implements [Service].
func (c *Client) Crash(ctx context.Context, id string) (semper.CrashReport, error) {
	return get[semper.CrashReport](ctx, c, "/v1/crashes/"+url.PathEscape(id), nil)
}

// Certificates implements [Service].
func (c *Client) Certificates(ctx context.Context) ([]Certificate, error) {
	return get[[]Certificate](ctx, c, "/v1/certificates", nil)
}

// Doctor implements [Service].
func (c *Client) Doctor(ctx context.Context) ([]Check, error) {
	return get[[]Check](ctx, c, "/v1/doctor", nil)
}

// SetSecret implements [Service].
func (c *Client) SetSecret(ctx context.Context, app, name string, value []byte, by string) (int, error) {
	b, err := post[versionBody](ctx, c, "/v1/secrets", secretBody{App: app, Name: name, Value: value, By: by}, false)
	return b.Version, err
}

// Secrets implements [Service].
func (c *Client) Secrets(ctx context.Context, app string) ([]string, error) {
	return get[[]string](ctx, c, "/v1/secrets", params("app", app))
}

func boolParam(b bool) string {
	if b {
		return "true"
	}
	return ""
}

func intParam(n int64) string { return strconv.FormatInt(n, 10) }
