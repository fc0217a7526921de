package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"semper/api"
	"semper/bench/rig"
)

// A bill is processor time by who used it.
type bill map[string]time.Duration

// Who is on a bill beside semper's own processes, and the order they are told in.
const (
	commands = "commands"
	starting = "new instances"
	leaving  = "old instances"
)

var payers = []string{commands, string(rig.Keeper), string(rig.Store), string(rig.Control), string(rig.Edge), starting, leaving}

func (b bill) add(o bill) {
	for who, d := range o {
		b[who] += d
	}
}

func (b bill) total() (sum time.Duration) {
	for _, d := range b {
		sum += d
	}
	return sum
}

// per is what one of n cost, in words.
func (b bill) per(n int) string {
	var words []string
	for _, who := range payers {
		if d, ok := b[who]; ok {
			words = append(words, fmt.Sprintf("%s %.1f", who, ms(d, n)))
		}
	}
	return fmt.Sprintf("%.0f ms (%s)", ms(b.total(), n), strings.Join(words, ", "))
}

func (b bill) each(n int) map[string]float64 {
	out := map[string]float64{}
	for who, d := range b {
		out[who] = ms(d, n)
	}
	return out
}

func ms(d time.Duration, n int) float64 { return float64(d.Microseconds()) / 1000 / float64(n) }

// A meter reads the processor clocks of semper's own processes, which live through all deploys.
type meter struct {
	pids  map[rig.Kind]int
	at    time.Time
	clock bill
}

func (b *bench) meter(kinds ...rig.Kind) (*meter, error) {
	m := &meter{pids: map[rig.Kind]int{}}
	for _, k := range kinds {
		pid, err := b.server.PID(k)
		if err != nil {
			return nil, err
		}
		m.pids[k] = pid
	}
	_, _, err := m.read()
	return m, err
}

// read is what was used since the read before, and how long ago that was.
func (m *meter) read() (bill, time.Duration, error) {
	now, since := time.Now(), bill{}
	passed := now.Sub(m.at)
	clock := bill{}
	for k, pid := range m.pids {
		d, err := rig.CPUOf(pid)
		if err != nil {
			return nil, 0, fmt.Errorf("%s: %w", k, err)
		}
		clock[string(k)] = d
		since[string(k)] = d - m.clock[string(k)]
	}
	m.at, m.clock = now, clock
	return since, passed, nil
}

// cost counts the processor time that a deploy takes, by who takes it, while no request is served: what a machine that serves
// has to give up for it. What the same processes use in as long a time without a deploy is taken off. Unlike a latency it hardly
// depends on what else runs on the machine.
func cost(ctx context.Context, b *bench) ([]figure, error) {
	const command = "make bench ARGS='-only cost'"
	n := min(b.deploys, 20)
	m, err := b.meter(rig.Keeper, rig.Store, rig.Control, rig.Edge)
	if err != nil {
		return nil, err
	}
	if err := rest(ctx, b.quiet/2); err != nil {
		return nil, err
	}
	idle, passed, err := m.read()
	if err != nil {
		return nil, err
	}
	before, after := bill{}, bill{}
	for i := range n {
		up, down, err := b.costly(ctx, m, []string{"B", "A"}[i%2], func(used bill, took time.Duration) bill {
			for who, d := range idle {
				used[who] -= time.Duration(float64(d) * float64(took) / float64(passed))
			}
			return used
		})
		if err != nil {
			return nil, fmt.Errorf("deploy %d: %w", i+1, err)
		}
		before.add(up)
		after.add(down)
	}
	return []figure{
		{Claim: fmt.Sprintf("processor time of a deploy without load, command to cutover, mean of %d", n), Target: "–", Measured: before.per(n), Command: command, Detail: before.each(n)},
		{Claim: "the same, from the cutover until the old instances are gone", Target: "–", Measured: after.per(n), Command: command, Detail: after.each(n)},
	}, nil
}

// costly deploys release A or B and then does away with the one before it. It returns what was used up to the cutover and after it,
// less what would have been used anyway.
func (b *bench) costly(ctx context.Context, m *meter, name string, less func(bill, time.Duration) bill) (up, down bill, err error) {
	old, err := b.instances(ctx)
	if err != nil {
		return nil, nil, err
	}
	was, err := sum(old)
	if err != nil {
		return nil, nil, err
	}
	if _, _, err := m.read(); err != nil {
		return nil, nil, err
	}
	_, used, err := b.server.DeployUsing(ctx, b.apps[name])
	if err != nil {
		return nil, nil, err
	}
	cut, took, err := m.read()
	if err != nil {
		return nil, nil, err
	}
	up = less(cut, took)
	up[commands] = used
	fresh, err := b.instances(ctx)
	if err != nil {
		return nil, nil, err
	}
	if slices.ContainsFunc(fresh, func(pid int) bool { return slices.Contains(old, pid) }) {
		return nil, nil, fmt.Errorf("instances %v after %v: this deploy started nothing", fresh, old)
	}
	if up[starting], err = sum(fresh); err != nil {
		return nil, nil, err
	}
	is, err := sum(old)
	if err != nil {
		return nil, nil, err
	}
	up[leaving] = is - was
	if _, _, err := m.read(); err != nil { // what this look cost is nobody's
		return nil, nil, err
	}
	if _, used, err = b.server.RunUsing(ctx, "promote", "--app", appName); err != nil {
		return nil, nil, err
	}
	if err := b.gone(ctx, old); err != nil {
		return nil, nil, err
	}
	rest, took, err := m.read()
	if err != nil {
		return nil, nil, err
	}
	down = less(rest, took)
	down[commands] = used
	return up, down, nil
}

// instances are the processes of the release in production.
func (b *bench) instances(ctx context.Context) ([]int, error) {
	st, err := b.server.Until(ctx, appName, time.Minute, func(st api.Status) bool { return readyInstances(st) >= 3 })
	if err != nil {
		return nil, err
	}
	var pids []int
	for _, i := range st.Instances {
		if i.Role == "current" && i.PID != 0 {
			pids = append(pids, i.PID)
		}
	}
	return pids, nil
}

func sum(pids []int) (total time.Duration, err error) {
	for _, pid := range pids {
		d, err := rig.CPUOf(pid)
		if err != nil {
			return 0, err
		}
		total += d
	}
	return total, nil
}

// gone waits until none of these processes is left.
func (b *bench) gone(ctx context.Context, pids []int) error {
	for range 600 {
		if !slices.ContainsFunc(pids, func(pid int) bool { _, err := rig.CPUOf(pid); return err == nil }) {
			return nil
		}
		if err := rest(ctx, 50*time.Millisecond); err != nil {
			return err
		}
	}
	return fmt.Errorf("processes of %v are left half a minute after the promotion", pids)
}
