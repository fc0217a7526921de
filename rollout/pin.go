package rollout

import (
	"fmt"
	"time"

	"semper"
)

// A client that has loaded a page of one release and calls another's API meets version skew. Where the new release has routes that
// ask for it, the one before goes on serving the clients that stick to it, for a window after the cutover: they are pinned.
// It has traffic until then, so it is cut when its window ends and not at the cutover.

// pinned reports whether p serves clients that stick to it, though it is not the current release.
func pinned(p *semper.Placement) bool { return p != nil && !p.PinnedUntil.IsZero() }

// pins is for how long clients of service, which next has and old had, may stick to old.
func pins(next, old semper.Spec, service string) time.Duration {
	if next.Services[service].Type != semper.Web || old.Services[service].Type != semper.Web {
		return 0
	}
	longest := time.Duration(0)
	for _, r := range next.Routes {
		if r.To == service {
			longest = max(longest, r.StickFor.D())
		}
	}
	return min(longest, next.Warm.D())
}

// replace makes old, which has just lost its place to the target of r, the placement that can be gone back to. Clients are pinned to
// what a deploy replaces: what somebody turns back from, or fixes in haste, is what they are to be saved from.
func (d *step) replace(r *semper.Rollout, old semper.Placement) {
	old.ReplacedAt = d.w.Now
	if r.Kind == semper.KindDeploy && r.Hotfix == "" && len(old.Instances) > 0 {
		next, was := d.w.Releases[r.To].Spec, d.w.Releases[old.Release].Spec
		window := time.Duration(0)
		for name := range old.Scale {
			if old.Scale[name] > 0 {
				window = max(window, pins(next, was, name))
			}
		}
		if window > 0 {
			old.CutAt, old.CutEpoch = time.Time{}, 0
			old.PinnedUntil = d.w.Now.Add(window)
		}
	}
	d.Env.Previous = &old
}

// unpin is p without traffic from the next epoch on, if clients were pinned to it.
func (d *step) unpin(p semper.Placement) semper.Placement {
	if pinned(&p) {
		p.PinnedUntil = time.Time{}
		p.CutAt, p.CutEpoch = d.w.Now, d.w.NextEpoch
	}
	return p
}

// expirePins ends the window of the previous release in its time, whatever a rollout is at.
func (d *step) expirePins() {
	p := d.Env.Previous
	if !pinned(p) {
		return
	}
	if d.w.Now.Before(p.PinnedUntil) {
		d.wake(p.PinnedUntil)
		return
	}
	left := d.unpin(*p)
	d.Env.Previous, d.Changed = &left, true
	d.event("release.unpinned", fmt.Sprintf("%s serves nobody any more: the window of clients that stick to it is over", p.Release), func(e *semper.Event) { e.Release, e.Epoch = p.Release, left.CutEpoch })
}
