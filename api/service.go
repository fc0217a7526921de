package api

import (
	"context"
	"io"

	"semper"
)

// Service is what the API offers; control provides it. Every error carries a [semper.Code].
// Methods are safe for concurrent use. app may be empty where exactly one app exists.
type Service interface {
	Delivery

	Info(ctx context.Context) (ServerInfo, error)
	Overview(ctx context.Context) (Overview, error)
	Status(ctx context.Context, app, env string) (Status, error)

	// Traffic is what edges do now for app and env; empty for all of them.
	Traffic(ctx context.Context, app, env string) (Traffic, error)
	// Certificates are those of the hosts of all routes; none where nothing listens for HTTPS.
	Certificates(ctx context.Context) ([]Certificate, error)
	// Metrics are those of an edge; empty is the one that takes new connections. accept is what the scrape would like, as
	// the field Accept has it.
	Metrics(ctx context.Context, edge, accept string) (Exposition, error)

	HasArtifact(ctx context.Context, d semper.Digest) (bool, error)
	PutArtifact(ctx context.Context, d semper.Digest, r io.Reader) error
	Plan(ctx context.Context, r DeployRequest) (Plan, error)
	// Deploy begins a rollout and returns at once; follow it with Events and Status.
	Deploy(ctx context.Context, r DeployRequest) (semper.Rollout, error)
	// Rollback moves to release, or to the previous one where release is empty. Returns when begun.
	Rollback(ctx context.Context, app, env string, release semper.ReleaseName, by string) (semper.Rollout, error)
	Scale(ctx context.Context, app, env string, scale map[string]int, by string) (semper.Rollout, error)
	Restart(ctx context.Context, app, env string, services []string, by string) (semper.Rollout, error)
	// Abort ends a running rollout; the environment keeps the release it had.
	Abort(ctx context.Context, app, env, by string) (semper.Rollout, error)
	// Promote skips the present step of a rollout on trial, or all of them. Of one that is watched it ends the watch early: the old
	// release is retired now.
	Promote(ctx context.Context, app, env string, p Promotion) (semper.Rollout, error)
	// Pause keeps a rollout with steps where it is, and ResumeRollout lets it go on. Either may be asked for twice.
	Pause(ctx context.Context, app, env, by string) (semper.Rollout, error)
	ResumeRollout(ctx context.Context, app, env, by string) (semper.Rollout, error)
	// Judgement is what the judge knows of a rollout; of the newest judged one where rollout is empty.
	Judgement(ctx context.Context, app, env, rollout string) (Judgement, error)
	// WaitRollout returns when rollout id has reached until ("live", "drained" or "done"), or is paused or beyond all pauses
	// ("paused"), or ended otherwise.
	WaitRollout(ctx context.Context, app, env, id, until string) (semper.Rollout, error)

	// Hold makes requests wait. What the same target had before is replaced.
	Hold(ctx context.Context, app, env string, h HoldRequest) (semper.Epoch, error)
	// Resume lets held requests go on; without a target all of them.
	Resume(ctx context.Context, app, env string, h HoldRequest) (semper.Epoch, error)

	Releases(ctx context.Context, app string) ([]ReleaseInfo, error)
	ReleaseDiff(ctx context.Context, app string, from, to semper.ReleaseName) (ReleaseDiff, error)
	GC(ctx context.Context, app string, keep int, dryRun bool) (GCReport, error)

	Tree(ctx context.Context) (TreeNode, error)
	Crashes(ctx context.Context, app string) ([]semper.CrashReport, error)
	Crash(ctx context.Context, id string) (semper.CrashReport, error)
	// Events sends events with Seq > after; when follow is false it closes after the newest.
	Events(ctx context.Context, app string, after int64, follow bool) (<-chan semper.Event, error)
	Logs(ctx context.Context, q LogQuery) (<-chan LogLine, error)
	Doctor(ctx context.Context) ([]Check, error)
	// Upgrade replaces keeper (in place), store, control and edge by the binary at path, or by themselves
	// where path is empty. The channel closes at the end.
	Upgrade(ctx context.Context, binary string) (<-chan UpgradeStep, error)

	Experiments
	Queues
	Tasks

	SetSecret(ctx context.Context, app, name string, value []byte, by string) (version int, err error)
	Secrets(ctx context.Context, app string) ([]string, error)
}
