package otpcase

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"

	"semper/supervise"
)

// Generate makes n cases, the same for the same seed. Any one of them depends on the seed and its own number only. They
// keep to what is the same in OTP and here; the package's doc lists what they leave out.
func Generate(seed uint64, n int) []Case {
	cases := make([]Case, n)
	for i := range cases {
		g := generator{Rand: rand.New(rand.NewPCG(seed, uint64(i))), dynamics: map[string]bool{}}
		cases[i] = g.generate(fmt.Sprintf("s%d-%d", seed, i))
	}
	return cases
}

// maxWaits bounds how long OTP takes for one case.
const maxWaits = 4

// A generator makes one case. It knows which paths there may be, not what runs.
type generator struct {
	*rand.Rand
	period int // of the short windows of the case; 0: there are none
	waits  int
	deaf   bool
	blocks blocks
	serial int

	steps    []Step
	now      int   // ms, as the steps say
	moments  []int // at which steps were, of a case with short windows
	workers  []string
	sups     []string
	dynamics map[string]bool // paths of simple_one_for_one
	gates    []gate
}

// blocks says whether starts block in a case. A restart that failed is counted here when it fails, in OTP when the
// supervisor gets round to the next attempt; what waited for a blocked start comes in between, and may make that
// attempt needless. So either no start fails where one blocks, or the limits are out of reach.
type blocks int

const (
	noBlocks blocks = iota
	blocksOnly
	blocksUnlimited
)

// A gate is a child whose restart may block: every supervisor above it does one thing at a time, here as in OTP. One in a
// nested supervisor is used only where the limits are out of reach: else that supervisor could end for what waited for
// the release while the one above has hardly heard that it has started.
type gate struct{ sup, id string }

func (g *generator) chance(percent int) bool { return g.IntN(100) < percent }

// pick is one of the words; a word that stands more often is more likely.
func (g *generator) pick(words string) string {
	list := strings.Fields(words)
	return list[g.IntN(len(list))]
}

func oneOf[T any](g *generator, list []T) T { return list[g.IntN(len(list))] }

func (g *generator) generate(name string) Case {
	switch {
	case g.chance(25):
		g.period = 1 + g.IntN(4)
	case g.chance(20):
		g.deaf = true
	}
	if g.chance(35) {
		g.blocks = blocksOnly + blocks(g.IntN(2))
	}
	c := Case{Name: name, Tree: g.tree("", 1, true)}
	if g.blocks != noBlocks && g.chance(40) && len(g.workers) > 0 {
		g.blockBoot(&c.Tree)
	}
	for range 3 + g.IntN(10) {
		g.step()
	}
	switch {
	case g.chance(10):
		g.add(Step{Do: "stop"})
	case g.chance(5):
		g.add(Step{Do: "kill"})
	}
	c.Steps = g.steps
	return c
}

// blockBoot makes the boot wait at a child of the root until after some faults. Not at one further down: what fails to
// start after the release would stop its supervisor, which cuts the work short that has waited there.
func (g *generator) blockBoot(t *Tree) {
	i := max(g.IntN(len(t.Children)), g.IntN(len(t.Children))) // a late one: others are up by then
	t.Children[i].Starts = append([]string{"block"}, t.Children[i].Starts...)
	faults := 1 + g.IntN(3)
	if t.Strategy == "one_for_one" {
		faults = 1 // it would serve several side by side
	}
	for range faults {
		victim := t.Children[g.IntN(i+1)]
		if path := g.below(victim.ID); victim.Tree != nil && len(path) > 0 {
			g.exit(oneOf(g, path))
		} else {
			g.exit(victim.ID)
		}
	}
	g.add(Step{Do: "release", Child: t.Children[i].ID})
}

// tree makes a supervisor at path; ordered tells whether all above it do one thing at a time.
func (g *generator) tree(path string, depth int, ordered bool) Tree {
	t := Tree{Strategy: g.pick("one_for_one one_for_one rest_for_one rest_for_one one_for_all one_for_all")}
	if g.chance(12) {
		t.Strategy = simple
	}
	intensity := oneOf(g, []int{0, 1, 1, 2, 2, 3, 4, 10})
	t.Period = 3600
	if g.period > 0 && g.chance(85) {
		t.Period = g.period
		intensity = 1 + g.IntN(3)
	}
	if g.blocks == blocksUnlimited {
		intensity = 1000
	}
	t.Intensity = &intensity
	g.sups = append(g.sups, path)
	if t.dynamic() {
		g.dynamics[path] = true
		t.Children = []Child{g.spec("template", true)}
		return t
	}
	if g.chance(30) && g.blocks != blocksUnlimited {
		t.AutoShutdown = g.pick("any_significant all_significant")
	}
	ordered = ordered && t.Strategy != "one_for_one"
	for i := range 1 + g.IntN(5) {
		t.Children = append(t.Children, g.child(path, string(rune('a'+i)), depth, ordered, t.AutoShutdown != ""))
	}
	return t
}

func (g *generator) child(path, id string, depth int, ordered, significant bool) Child {
	nested := depth < 3 && g.chance(25)
	c := g.spec(id, !nested)
	if ordered && (path == "" || g.blocks == blocksUnlimited) {
		g.gates = append(g.gates, gate{path, id})
	}
	if nested {
		t := g.tree(join(path, id), depth+1, ordered)
		c.Tree = &t
	} else {
		g.workers = append(g.workers, join(path, id))
	}
	c.Significant = significant && index(restarts, c.Restart) > 0 && g.chance(60)
	switch {
	case g.chance(4) && g.blocks != blocksOnly:
		c.Starts = []string{g.pick("fail raise taken")}
	case g.chance(5):
		c.Starts = []string{"ignore"}
	case g.chance(8):
		c.Starts = append([]string{"ok"}, g.script()...)
	}
	return c
}

// spec makes a child without a tree.
func (g *generator) spec(id string, worker bool) Child {
	c := Child{ID: id, Restart: g.pick("permanent permanent permanent transient transient temporary")}
	if !worker {
		return c
	}
	switch {
	case g.deaf && g.chance(30):
		c.Shutdown, c.OnStop = Shutdown((700+g.IntN(300))*1e6), "ignore" // shorter, and a busy machine kills what has not heard of it
		return c
	case g.chance(20):
		c.Shutdown = Shutdown(supervise.Brutal)
	case g.chance(20):
		c.Shutdown = Shutdown(supervise.Infinity)
	}
	if g.chance(15) {
		c.OnStop = g.pick("normal crash")
	}
	if g.chance(4) {
		c.Type = "supervisor"
	}
	return c
}

// script is what becomes of the next starts.
func (g *generator) script() []string {
	if g.blocks == blocksOnly {
		return []string{g.pick("ignore ok ok")}
	}
	s := []string{g.pick("fail fail raise ignore taken ok")}
	for g.chance(45) {
		s = append(s, g.pick("fail fail raise ignore taken ok"))
	}
	return s
}

func (g *generator) add(s Step) {
	g.steps = append(g.steps, s)
	g.moments = append(g.moments, g.now)
}

// step adds a step, or a few that belong together.
func (g *generator) step() {
	switch n := g.IntN(100); {
	case g.period > 0 && n < 35:
		g.advance()
	case g.period > 0 && n < 75 && len(g.workers) > 0:
		victim := g.workers[g.IntN(min(len(g.workers), 2))] // mostly the same, or limits are seldom reached
		g.add(Step{Do: "exit", Child: victim, Reason: "crash"})
	case len(g.dynamics) > 0 && g.IntN(100) < 45:
		g.startDynamic()
	case n < 65:
		g.fault()
	case n < 80 && g.blocks != noBlocks && len(g.gates) > 0:
		g.blocking()
	default:
		g.call(oneOf(g, g.sups), "")
	}
}

// advance lets time pass so that any two moments lie clearly within one window or clearly do not, in every phase of
// OTP's clock, which counts whole seconds.
func (g *generator) advance() {
	if g.waits == maxWaits {
		return
	}
	g.waits++
	within, beyond := g.period*1000-int(slack.Milliseconds())-50, g.period*1000+1100
	for _, i := range g.Perm(6) {
		ms := []int{150, 500, 1000, 2000, within, beyond}[i]
		clear := func(moment int) bool { d := g.now + ms - moment; return d <= within || d >= beyond }
		if !slices.ContainsFunc(g.moments, func(m int) bool { return !clear(m) }) && clear(0) {
			g.now += ms
			g.add(Step{Do: "advance", Ms: ms})
			return
		}
	}
}

// fault ends a worker, often after having told some child how its next starts go.
func (g *generator) fault() {
	if len(g.workers) == 0 {
		return
	}
	victim := oneOf(g, g.workers)
	if g.chance(35) {
		target := victim
		if g.chance(50) {
			target = oneOf(g, g.workers)
		}
		script := g.script()
		if pool, _ := parent(target); g.dynamics[pool] {
			script = noIgnore(script)
		}
		g.add(Step{Do: "starts", Child: target, Starts: script})
	}
	g.exit(victim)
}

// noIgnore is a script for children of a simple_one_for_one. Of one whose restart is ignored OTP 25 keeps a trace
// without a process, on which its stop crashes.
func noIgnore(script []string) []string {
	for i, s := range script {
		if s == "ignore" {
			script[i] = "fail"
		}
	}
	return script
}

func (g *generator) exit(path string) {
	g.add(Step{Do: "exit", Child: path, Reason: g.pick("crash crash crash kill kill normal shutdown shutdown_term")})
}

func (g *generator) fresh(prefix string) string {
	g.serial++
	return fmt.Sprint(prefix, g.serial)
}

func (g *generator) startDynamic() {
	var pools []string
	for _, s := range g.sups {
		if g.dynamics[s] {
			pools = append(pools, s)
		}
	}
	s := Step{Do: "start_child", Supervisor: oneOf(g, pools), Spec: &Child{ID: g.fresh("d")}}
	switch {
	case g.chance(20):
		s.Spec.Starts = noIgnore(g.script())
	case g.chance(10):
		s.Spec.Starts = []string{"ignore"}
	}
	g.workers = append(g.workers, join(s.Supervisor, s.Spec.ID))
	g.add(s)
}

// call asks the supervisor at path something, but not to terminate the child not.
func (g *generator) call(path, not string) {
	if g.dynamics[path] && g.chance(30) {
		g.startDynamic()
		return
	}
	if g.chance(20) && !g.dynamics[path] {
		spec := g.spec(g.pick("a b c")+g.pick("x "), true) // a name that may be taken
		if g.chance(50) {
			spec.ID = g.fresh("n")
		}
		if g.chance(20) {
			spec.Starts = g.script()
		}
		spec.Significant = spec.Restart != "permanent" && g.blocks == noBlocks && g.chance(20)
		g.workers = append(g.workers, join(path, spec.ID))
		g.add(Step{Do: "start_child", Supervisor: path, Spec: &spec})
		return
	}
	child := join(path, g.pick("a b c d e"))
	var own []string
	for _, w := range slices.Concat(g.workers, g.sups) {
		if p, _ := parent(w); p == path && w != "" {
			own = append(own, w)
		}
	}
	if len(own) > 0 && g.chance(90) {
		child = oneOf(g, own)
	}
	do := g.pick("terminate_child terminate_child restart_child restart_child delete_child")
	if do == "terminate_child" && child == not {
		do = "delete_child"
	}
	g.add(Step{Do: do, Child: child})
}

// below are the workers that a supervisor has, itself or through others. While it is blocked, faults concern only them: a
// supervisor further up would stop it, which cuts its work short here, but not in OTP.
func (g *generator) below(sup string) []string {
	var below []string
	for _, w := range g.workers {
		if sup == "" || strings.HasPrefix(w, sup+"/") {
			below = append(below, w)
		}
	}
	return below
}

// blocking makes a restart wait until after a few more faults.
func (g *generator) blocking() {
	b := oneOf(g, g.gates)
	path, below := join(b.sup, b.id), g.below(b.sup)
	if len(below) == 0 {
		return
	}
	script := []string{"block"}
	if g.chance(40) {
		script = append(script, g.script()...)
	}
	g.add(Step{Do: "starts", Child: path, Starts: script})
	g.exit(oneOf(g, below))
	for range 1 + g.IntN(3) {
		if g.chance(60) {
			g.exit(oneOf(g, below))
		} else {
			g.call(b.sup, path)
		}
	}
	g.add(Step{Do: "release", Child: path})
}
