package process

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"semper"

	"golang.org/x/sys/unix"
)

// group is the cgroup of one incarnation: up to one directory per hierarchy. The zero group is none,
// and every method of it does nothing.
type group struct {
	places []place
}

// place is the directory of the group for a controller, or for all of them in the second version.
type place struct {
	controller string // "memory", "cpu", "pids", or [unified]
	dir        string
}

// newGroup makes the cgroup called name in every hierarchy that can hold or limit it, and sets the
// limits. What cannot be had is told in words; only a missing limit is worth any.
func newGroup(name string, l semper.Limits) (g *group, missing string) {
	g = &group{}
	wanted := limitsOf(l)
	var why error
	for _, h := range hierarchies() {
		if err := g.enter(h, name, wanted); err != nil && why == nil {
			why = err
		}
	}
	for _, w := range wanted {
		err := g.set(w)
		switch {
		case err == nil:
			continue
		case why != nil:
			err = why
		}
		missing = join(missing, w.controller+" limit is not in force: "+err.Error())
	}
	return g, missing
}

// enter makes the directory in h, if it is of use there.
func (g *group) enter(h hierarchy, name string, wanted []limit) error {
	base := h.own
	if h.is(unified) {
		if filepath.Base(base) == leaf {
			base = filepath.Dir(base)
		}
		var controllers []string
		for _, w := range wanted {
			controllers = append(controllers, w.controller)
		}
		_, err := passOn(base, controllers)
		dir, e := mkdir(base, name)
		if e != nil {
			return e
		}
		g.places = append(g.places, place{unified, dir})
		return err
	}
	// The memory hierarchy of the first version also tells of kills and peaks without a limit.
	if !h.is("memory") && !slices.ContainsFunc(wanted, func(w limit) bool { return h.is(w.controller) }) {
		return nil
	}
	dir, err := mkdir(base, name)
	if err != nil {
		return err
	}
	for _, c := range h.controllers {
		g.places = append(g.places, place{c, dir})
	}
	return nil
}

// mkdir makes the directory of a group. One that an earlier incarnation left behind is taken
// away first; where that is still inhabited, the new one gets a name of its own.
func mkdir(base, name string) (string, error) {
	dir := filepath.Join(base, prefix+plain(name))
	for i := 2; ; i++ {
		err := os.Mkdir(dir, 0o755)
		if errors.Is(err, os.ErrExist) && rmdir(dir) == nil {
			err = os.Mkdir(dir, 0o755)
		}
		if err == nil || !errors.Is(err, os.ErrExist) || i > 100 {
			return dir, err
		}
		dir = filepath.Join(base, fmt.Sprintf("%s%s.%d", prefix, plain(name), i))
	}
}

// plain is name without what a file name, or the encoding of a group, gives a meaning to.
func plain(name string) string {
	return strings.Map(func(r rune) rune {
		if strings.ContainsRune("/=;\\\n\x00", r) {
			return '_'
		}
		return r
	}, name)
}

// String encodes where the group is, for an [Identity].
func (g *group) String() string {
	var s []string
	for _, p := range g.places {
		s = append(s, p.controller+"="+p.dir)
	}
	return strings.Join(s, ";")
}

// prefix begins the name of every cgroup made here; no other is ever joined, killed or removed.
const prefix = "semper."

// parseGroup is the group String encoded.
func parseGroup(s string) *group {
	g := &group{}
	for kv := range strings.SplitSeq(s, ";") {
		if controller, dir, ok := strings.Cut(kv, "="); ok && filepath.IsAbs(dir) && strings.HasPrefix(filepath.Base(dir), prefix) {
			g.places = append(g.places, place{controller, dir})
		}
	}
	return g
}

func (g *group) dir(controller string) string {
	for _, p := range g.places {
		if p.controller == controller {
			return p.dir
		}
	}
	return ""
}

// dirs are the distinct directories.
func (g *group) dirs() []string {
	var dirs []string
	for _, p := range g.places {
		if !slices.Contains(dirs, p.dir) {
			dirs = append(dirs, p.dir)
		}
	}
	return dirs
}

// joins reports whether a thread has to join before it forks, because the kernel cannot place a
// child there.
func (g *group) joins() bool {
	return slices.ContainsFunc(g.places, func(p place) bool { return p.controller != unified })
}

// join moves the calling thread into the group's directories of the first version.
func (g *group) join() error {
	return g.move(func(dir string) string { return dir })
}

// leave moves the thread back. It would leave by ending, but nobody can wait for a thread, and until
// then the group counts it, and with it semper, as a member.
func (g *group) leave() error { return g.move(filepath.Dir) }

func (g *group) move(to func(string) string) error {
	var first error
	for _, dir := range g.dirs() {
		if dir == g.dir(unified) {
			continue
		}
		if err := write(filepath.Join(to(dir), "tasks"), "0"); err != nil && first == nil {
			first = err
		}
	}
	return first
}

// descriptor is the directory of the second version opened for the fork, -1 for none.
func (g *group) descriptor() (fd int, closeIt func()) {
	dir := g.dir(unified)
	if dir == "" {
		return -1, func() {}
	}
	fd, err := unix.Open(dir, unix.O_DIRECTORY|unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return -1, func() {}
	}
	return fd, func() { _ = unix.Close(fd) }
}

// kill sends SIGKILL to all members.
func (g *group) kill() {
	if dir := g.dir(unified); dir != "" && write(filepath.Join(dir, "cgroup.kill"), "1") == nil {
		return
	}
	for _, pid := range g.procs() {
		_ = unix.Kill(pid, unix.SIGKILL)
	}
}

// procs are the members, of cgroups that members made below as well. The caller is never one.
func (g *group) procs() []int {
	var pids []int
	for _, dir := range g.dirs() {
		pids = append(pids, pidsIn(dir)...)
		for _, sub := range cgroupsBelow(dir) {
			pids = append(pids, (&group{places: []place{{dir: sub}}}).procs()...)
		}
	}
	slices.Sort(pids)
	self := os.Getpid()
	return slices.DeleteFunc(slices.Compact(pids), func(pid int) bool { return pid == self })
}

func cgroupsBelow(dir string) []string {
	entries, _ := os.ReadDir(dir)
	var subs []string
	for _, e := range entries {
		if e.IsDir() {
			subs = append(subs, filepath.Join(dir, e.Name()))
		}
	}
	return subs
}

func pidsIn(dir string) []int {
	f, _ := words(filepath.Join(dir, "cgroup.procs"))
	var pids []int
	for _, w := range f {
		if pid, err := strconv.Atoi(w); err == nil && pid > 0 {
			pids = append(pids, pid)
		}
	}
	return pids
}

// oomKills is how many members were killed for memory, known == false where nothing counts them.
func (g *group) oomKills() (n int, known bool) {
	for _, file := range []string{
		filepath.Join(g.dir("memory"), "memory.oom_control"),
		filepath.Join(g.dir(unified), "memory.events"),
	} {
		b, err := os.ReadFile(file)
		if err != nil || !filepath.IsAbs(file) {
			continue
		}
		if v, ok := field(string(b), "oom_kill"); ok {
			return int(v), true
		}
	}
	return 0, false
}

// peak is the most the members used together.
func (g *group) peak() semper.ResourcePeaks {
	var p semper.ResourcePeaks
	if dir := g.dir("memory"); dir != "" {
		p.MemoryBytes = number(filepath.Join(dir, "memory.max_usage_in_bytes"))
	}
	if dir := g.dir(unified); dir != "" {
		p.MemoryBytes = max(p.MemoryBytes, number(filepath.Join(dir, "memory.peak")))
		if b, err := os.ReadFile(filepath.Join(dir, "cpu.stat")); err == nil {
			us, _ := field(string(b), "usage_usec")
			p.CPU = semper.Duration(time.Duration(us) * time.Microsecond)
		}
	}
	return p
}

func number(path string) int64 {
	b, err := os.ReadFile(path)
	if err != nil {
		return 0
	}
	n, _ := strconv.ParseInt(strings.TrimSpace(string(b)), 10, 64)
	return n
}

// remove takes the empty group away.
func (g *group) remove() {
	for _, dir := range g.dirs() {
		_ = rmdir(dir)
	}
}

// rmdir removes a cgroup and those below it. For a moment after its last member has ended the
// kernel may still call it busy, and has no event for the end of that moment in its first version.
func rmdir(dir string) error {
	for _, sub := range cgroupsBelow(dir) {
		_ = rmdir(sub)
	}
	for pause := 100 * time.Microsecond; ; pause *= 2 {
		err := unix.Rmdir(dir)
		if !errors.Is(err, unix.EBUSY) || pause > 20*time.Millisecond || len(pidsIn(dir)) > 0 {
			return err
		}
		<-time.After(pause)
	}
}
