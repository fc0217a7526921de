package cgroup

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

// Group is the cgroup of one incarnation: up to one directory per hierarchy. The zero Group is none:
// every method of it does nothing. A Group does not change once it is made.
type Group struct {
	places []place
}

// place is the directory of the group for a controller, or for all of them in the second version.
type place struct {
	controller string // "memory", "cpu", "pids", or [Unified]
	dir        string
}

// New makes the cgroup called name in every hierarchy that can hold or limit it, and sets the
// limits. What cannot be had is told in words; only a missing limit is worth any.
func New(name string, l semper.Limits) (g *Group, missing string) {
	g = &Group{}
	wanted := limitsOf(l)
	var why error
	var lacking []string
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
		lacking = append(lacking, w.controller+" limit is not in force: "+err.Error())
	}
	return g, strings.Join(lacking, "; ")
}

// enter makes the directory in h, if it is of use there.
func (g *Group) enter(h hierarchy, name string, wanted []limit) error {
	base := h.own
	if h.is(Unified) {
		if filepath.Base(base) == leaf {
			base = filepath.Dir(base)
		}
		controllers := []string{"memory"} // for its counts, limit or not
		for _, w := range wanted {
			controllers = append(controllers, w.controller)
		}
		_, err := passOn(base, controllers)
		dir, e := mkdir(base, name)
		if e != nil {
			return e
		}
		g.places = append(g.places, place{Unified, dir})
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

// String encodes where the group is, for [Parse].
func (g *Group) String() string {
	var s []string
	for _, p := range g.places {
		s = append(s, p.controller+"="+p.dir)
	}
	return strings.Join(s, ";")
}

// prefix begins the name of every cgroup made here; no other is ever joined, killed or removed.
const prefix = "semper."

// Parse is the group String encoded. What no String can have encoded is left out.
func Parse(s string) *Group {
	g := &Group{}
	for kv := range strings.SplitSeq(s, ";") {
		if controller, dir, ok := strings.Cut(kv, "="); ok && filepath.IsAbs(dir) && strings.HasPrefix(filepath.Base(dir), prefix) {
			g.places = append(g.places, place{controller, dir})
		}
	}
	return g
}

// Of is the group the living process pid is in, the zero Group when none of its cgroups was made
// here. One that holds the caller as well is another's: of the instance that semper itself may run in.
func Of(pid int) *Group {
	g := &Group{}
	self := hierarchies()
	for _, h := range hierarchiesOf(strconv.Itoa(pid)) {
		shared := slices.ContainsFunc(self, func(s hierarchy) bool {
			return strings.HasPrefix(s.own+"/", h.own+"/")
		})
		if shared || !strings.HasPrefix(filepath.Base(h.own), prefix) {
			continue
		}
		for _, c := range h.controllers {
			g.places = append(g.places, place{c, h.own})
		}
	}
	return g
}

// Dir is the directory for a controller, "" where the group has none.
func (g *Group) Dir(controller string) string {
	for _, p := range g.places {
		if p.controller == controller {
			return p.dir
		}
	}
	return ""
}

// Dirs are the distinct directories.
func (g *Group) Dirs() []string {
	var dirs []string
	for _, p := range g.places {
		if !slices.Contains(dirs, p.dir) {
			dirs = append(dirs, p.dir)
		}
	}
	return dirs
}

// Joins reports whether a thread has to join before it forks, because the kernel cannot place a
// child there.
func (g *Group) Joins() bool {
	return slices.ContainsFunc(g.places, func(p place) bool { return p.controller != Unified })
}

// Join moves the calling thread into the group's directories of the first version.
func (g *Group) Join() error {
	return g.move(func(dir string) string { return dir })
}

// Leave moves the thread back. It would leave by ending, but nobody can wait for a thread, and until
// then the group counts it, and with it semper, as a member.
func (g *Group) Leave() error { return g.move(filepath.Dir) }

func (g *Group) move(to func(string) string) error {
	var first error
	for _, dir := range g.Dirs() {
		if dir == g.Dir(Unified) {
			continue
		}
		if err := write(filepath.Join(to(dir), "tasks"), "0"); err != nil && first == nil {
			first = err
		}
	}
	return first
}

// Descriptor is the directory of the second version opened for the fork, -1 for none.
func (g *Group) Descriptor() (fd int, closeIt func()) {
	dir := g.Dir(Unified)
	if dir == "" {
		return -1, func() {}
	}
	fd, err := unix.Open(dir, unix.O_DIRECTORY|unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return -1, func() {}
	}
	return fd, func() { _ = unix.Close(fd) }
}

// Idle has the members run on the processor time that nobody beside the group wants, or ends that. It matters only where the
// group is one for the processors: elsewhere the threads' own policies count.
func (g *Group) Idle(on bool) {
	value := "0"
	if on {
		value = "1"
	}
	for _, controller := range []string{"cpu", Unified} {
		if dir := g.Dir(controller); dir != "" {
			_ = write(filepath.Join(dir, "cpu.idle"), value) // Linux 5.15 and later
		}
	}
}

// Kill sends SIGKILL to all members.
func (g *Group) Kill() {
	if dir := g.Dir(Unified); dir != "" && write(filepath.Join(dir, "cgroup.kill"), "1") == nil {
		return
	}
	for _, pid := range g.Members() {
		_ = unix.Kill(pid, unix.SIGKILL)
	}
}

// Members are the members, of cgroups that members made below as well. The caller is never one.
func (g *Group) Members() []int {
	var pids []int
	for _, dir := range g.Dirs() {
		pids = append(pids, pidsIn(dir)...)
		for _, sub := range cgroupsBelow(dir) {
			pids = append(pids, (&Group{places: []place{{dir: sub}}}).Members()...)
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

// OOMKills is how many members were killed for memory, known == false where nothing counts them.
func (g *Group) OOMKills() (n int, known bool) {
	for _, file := range []string{
		filepath.Join(g.Dir("memory"), "memory.oom_control"),
		filepath.Join(g.Dir(Unified), "memory.events"),
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

// Peak is the most the members used together.
func (g *Group) Peak() semper.ResourcePeaks {
	var p semper.ResourcePeaks
	if dir := g.Dir("memory"); dir != "" {
		p.MemoryBytes = number(filepath.Join(dir, "memory.max_usage_in_bytes"))
	}
	if dir := g.Dir(Unified); dir != "" {
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

// Remove takes the empty group away.
func (g *Group) Remove() {
	for _, dir := range g.Dirs() {
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

// field is the number that follows key at the beginning of a line.
func field(text, key string) (int64, bool) {
	for line := range strings.Lines(text) {
		f := strings.Fields(line)
		if len(f) >= 2 && f[0] == key {
			n, err := strconv.ParseInt(f[1], 10, 64)
			return n, err == nil
		}
	}
	return 0, false
}
