package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"semper"
	"semper/api"
	"semper/bench/load"
	"semper/bench/rig"
)

// alikeFile keeps what the newest run of -e2e found, for the report.
const alikeFile = "bench/judge/alike.json"

// alikeApps share one server and its machine, each with rollouts and load of its own.
const alikeApps = 4

// An Alike is what became of releases that differ from the one before in a file that nobody reads: real processes, real load.
type Alike struct {
	Releases  int      `json:"releases"`
	Promoted  int      `json:"promoted"`
	Returned  int      `json:"returned"`        // found worse: falsely
	Undecided int      `json:"undecided"`       // neither, like one whose instances did not start in time
	Judged    int64    `json:"judged_requests"` // of candidates and baselines
	Requests  uint64   `json:"requests"`        // of clients, in all
	Failed    uint64   `json:"failed"`
	Minutes   float64  `json:"minutes"`
	Why       []string `json:"why,omitempty"` // of what was not promoted
}

// alikeConfig is of an app with a short trial by the defaults of the judge.
const alikeConfig = `version: 1
app: %s
services:
  web:
    type: web
    command: ./app
    instances: 2
    health: { path: /healthz, grace: 90s }
    stop: { timeout: 5s }
routes:
  - { host: %s.example, to: web }
warm: 1s
deploy:
  steps:
    - { traffic: 20%%, for: 10s, requests: 100 }
    - { traffic: 50%%, for: 15s, requests: 300 }
`

// An alikeRun is one measurement under way.
type alikeRun struct {
	dir    string
	app    string // program
	server *rig.Server
	next   chan int // numbers of releases to deploy

	mu  sync.Mutex // guards the following field
	sum Alike
}

// alike deploys n such releases with the semper at bin, and counts what becomes of them. What it found before it was interrupted
// counts.
func alike(ctx context.Context, bin string, n int) (sum Alike, err error) {
	dir, err := os.MkdirTemp("", "alike")
	if err != nil {
		return sum, err
	}
	defer os.RemoveAll(dir)
	if err := os.Chmod(dir, 0o755); err != nil { // instances may run as users of their own
		return sum, err
	}
	r := &alikeRun{dir: dir, app: filepath.Join(dir, "app"), next: make(chan int)}
	build := exec.CommandContext(ctx, "go", "build", "-trimpath", "-ldflags=-s -w", "-o", r.app, "./bench/app")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if text, err := build.CombinedOutput(); err != nil {
		return sum, fmt.Errorf("build the app: %w\n%s", err, text)
	}
	address, err := rig.FreeAddress()
	if err != nil {
		return sum, err
	}
	if bin, err = filepath.Abs(bin); err != nil {
		return sum, err
	}
	r.server = &rig.Server{Bin: bin, Dir: filepath.Join(dir, "data"), HTTP: address, Log: filepath.Join(dir, "server.log")}
	if err := r.server.Start(ctx); err != nil {
		return sum, errors.Join(err, r.server.KillAll())
	}
	began := time.Now()
	r.deploys(ctx, n)
	err = r.server.Stop()
	r.sum.Minutes = time.Since(began).Minutes()
	return r.sum, err
}

// deploys hands out n numbers to the apps, and returns when all of these are done.
func (r *alikeRun) deploys(ctx context.Context, n int) {
	var running sync.WaitGroup
	for i := range min(alikeApps, n) {
		name := fmt.Sprintf("alike%d", i+1)
		running.Go(func() { r.serve(ctx, name) })
	}
	defer running.Wait()
	defer close(r.next)
	for i := range n {
		select {
		case r.next <- i + 1:
		case <-ctx.Done():
			return
		}
	}
}

// serve is the life of one app: a first release without a trial, load, and one release after the other.
func (r *alikeRun) serve(ctx context.Context, name string) {
	dir := filepath.Join(r.dir, name)
	if err := r.lay(dir, name); err != nil {
		r.note(nil, "", fmt.Errorf("%s: %w", name, err))
		return
	}
	if _, err := r.server.Run(ctx, "deploy", "-f", dir, "--progress", "quiet"); err != nil {
		r.note(nil, "", fmt.Errorf("%s: the first release: %w", name, err))
		return
	}
	g := load.Start(ctx, load.Config{Address: r.server.HTTP, Host: name + ".example", KeepAlive: 4, Think: 15 * time.Millisecond})
	for i := range r.next {
		r.deploy(ctx, dir, name, i)
	}
	all := g.Stop()
	r.mu.Lock()
	defer r.mu.Unlock()
	r.sum.Requests += all.Requests
	r.sum.Failed += all.Failed
	r.sum.Why = append(r.sum.Why, all.Samples...)
}

func (r *alikeRun) lay(dir, name string) error {
	program, err := os.ReadFile(r.app)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	config := fmt.Sprintf(alikeConfig, name, name)
	return errors.Join(os.WriteFile(filepath.Join(dir, "app"), program, 0o755), os.WriteFile(filepath.Join(dir, "semper.yaml"), []byte(config), 0o644),
		os.WriteFile(filepath.Join(dir, "note.txt"), []byte("release 0\n"), 0o644))
}

// deploy changes one byte or two and says what became of it.
func (r *alikeRun) deploy(whole context.Context, dir, name string, i int) {
	ctx, cancel := context.WithTimeout(whole, 10*time.Minute)
	defer cancel()
	if err := os.WriteFile(filepath.Join(dir, "note.txt"), fmt.Appendf(nil, "release %d\n", i), 0o644); err != nil {
		r.note(nil, "", err)
		return
	}
	_, deployed := r.server.Run(ctx, "deploy", "-f", dir, "--progress", "quiet")
	if whole.Err() != nil {
		return // interrupted: nothing became of it
	}
	if ctx.Err() != nil && deployed != nil {
		r.note(nil, "", fmt.Errorf("%s, release %d: not at an end: %w", name, i, ctx.Err()))
		return
	}
	st, err := r.server.Status(ctx, name)
	if err == nil && st.Rollout == nil {
		err = errors.New("it has no rollout")
	}
	if err != nil {
		r.note(nil, "", fmt.Errorf("%s, release %d: %w", name, i, errors.Join(deployed, err)))
		return
	}
	var j api.Judgement
	out, err := r.server.Run(ctx, "verify", "show", st.Rollout.ID, "--app", name, "-o", "json")
	if err == nil {
		err = json.Unmarshal(out, &j)
	}
	if err != nil {
		r.note(nil, "", fmt.Errorf("%s, release %d: %w", name, i, errors.Join(deployed, err)))
		return
	}
	r.note(&j, st.Rollout.State, deployed)
}

// note counts one release. Without a judgement it is one that was not judged to the end.
func (r *alikeRun) note(j *api.Judgement, state semper.RolloutState, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	s := &r.sum
	s.Releases++
	var why string
	if j != nil {
		for _, step := range j.Steps {
			s.Judged += step.Candidate.Requests + step.Baseline.Requests
		}
		why = fmt.Sprintf("%s of %s is %s: %s", j.To, j.App, state, j.Verdict.Why)
	}
	switch {
	case j != nil && j.Verdict.Outcome == semper.Worse:
		s.Returned++
		s.Why = append(s.Why, why)
	case err == nil && j != nil:
		s.Promoted++
	default:
		s.Undecided++
		why = fmt.Sprintf("%s %v", why, err)
		s.Why = append(s.Why, why)
	}
	fmt.Fprintf(os.Stderr, "%s %d promoted, %d returned, %d neither; %s\n", time.Now().Format(time.TimeOnly), s.Promoted, s.Returned, s.Undecided, why)
}

// write is the paragraph of the report.
func (a *Alike) write(w io.Writer) {
	fmt.Fprintf(w, "\n## The same release, deployed again and again\n\nReal processes under load: one semper, %d apps of two instances, each judged against two fresh ones by the defaults of the judge, through 20 %% and 50 %% of the "+
		"requests in 25 s or more. Each release differs from the one before in a file that nobody reads.\n\n", alikeApps)
	fmt.Fprintf(w, "| releases | promoted | returned | neither | requests that were judged | of clients | of these failed |\n|---|---|---|---|---|---|---|\n| %d | %d | %d | %d | %d | %d | %d |\n",
		a.Releases, a.Promoted, a.Returned, a.Undecided, a.Judged, a.Requests, a.Failed)
	for _, why := range a.Why {
		fmt.Fprintf(w, "\n- %s\n", strings.Join(strings.Fields(why), " "))
	}
}
