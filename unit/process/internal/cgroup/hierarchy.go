package cgroup

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// Unified is the name of the one hierarchy of cgroups of the second version.
const Unified = "unified"

// leaf is the cgroup semper moves itself to where its own must hold no process: with the second
// version, one that passes controllers on to children may not.
const leaf = "semper-self"

// hierarchy is one tree of cgroups and where the calling process is in it.
type hierarchy struct {
	controllers []string // of the first version: "memory"; [Unified] for the second
	own         string   // directory of the caller's cgroup
}

func (h hierarchy) is(controller string) bool { return slices.Contains(h.controllers, controller) }

// hierarchies are the ones mounted on this machine that matter here.
func hierarchies() []hierarchy { return hierarchiesOf("self") }

// hierarchiesOf tells where another process is in them.
func hierarchiesOf(pid string) []hierarchy {
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return nil
	}
	own, err := os.ReadFile("/proc/" + pid + "/cgroup")
	if err != nil {
		return nil
	}
	return parseHierarchies(string(mounts), string(own))
}

// parseHierarchies joins /proc/self/mountinfo, which tells where trees are mounted and from which
// cgroup on, with /proc/self/cgroup, which tells the caller's path from the tree's root.
func parseHierarchies(mounts, own string) []hierarchy {
	paths := make(map[string]string)
	for line := range strings.Lines(own) {
		f := strings.SplitN(strings.TrimSpace(line), ":", 3)
		if len(f) != 3 {
			continue
		}
		if f[0] == "0" && f[1] == "" {
			paths[Unified] = f[2]
		}
		for c := range strings.SplitSeq(f[1], ",") {
			if c != "" {
				paths[c] = f[2]
			}
		}
	}
	var all []hierarchy
	for line := range strings.Lines(mounts) {
		before, after, ok := strings.Cut(line, " - ")
		f, g := strings.Fields(before), strings.Fields(after)
		if !ok || len(f) < 5 || len(g) < 3 {
			continue
		}
		var controllers []string
		switch g[0] {
		case "cgroup2":
			controllers = []string{Unified}
		case "cgroup":
			for o := range strings.SplitSeq(g[2], ",") {
				if o == "memory" || o == "cpu" || o == "pids" {
					controllers = append(controllers, o)
				}
			}
		}
		if len(controllers) == 0 {
			continue
		}
		path, ok := paths[controllers[0]]
		if !ok || slices.ContainsFunc(all, func(h hierarchy) bool { return h.is(controllers[0]) }) {
			continue
		}
		all = append(all, hierarchy{controllers: controllers, own: below(unescape(f[4]), f[3], path)})
	}
	return all
}

// below is where the cgroup path is seen when root of its tree is mounted at point.
func below(point, root, path string) string {
	rest, ok := strings.CutPrefix(path, strings.TrimSuffix(root, "/"))
	if !ok {
		rest = "" // outside of what is mounted: a container sees its own cgroup as the root
	}
	return filepath.Join(point, rest)
}

// unescape undoes the octal escapes of mountinfo.
func unescape(s string) string {
	return strings.NewReplacer(`\040`, " ", `\011`, "\t", `\012`, "\n", `\134`, `\`).Replace(s)
}

// passOn makes the controllers of the second version among wanted available to the children of base,
// the cgroup of semper. It returns those that are.
func passOn(base string, wanted []string) (given []string, err error) {
	there, err := words(filepath.Join(base, "cgroup.controllers"))
	if err != nil {
		return nil, err
	}
	control := filepath.Join(base, "cgroup.subtree_control")
	on, err := words(control)
	if err != nil {
		return nil, err
	}
	for _, c := range wanted {
		if !slices.Contains(there, c) {
			continue
		}
		if !slices.Contains(on, c) {
			e := write(control, "+"+c)
			if errors.Is(e, unix.EBUSY) {
				if e = stepDown(base); e == nil {
					e = write(control, "+"+c)
				}
			}
			if e != nil {
				err = e
				continue
			}
		}
		given = append(given, c)
	}
	return given, err
}

// stepDown moves semper's processes from base to a leaf of it. Where others are in base as well, a
// user's shell for one, semper has no business moving anything.
func stepDown(base string) error {
	pids := pidsIn(base)
	for _, pid := range pids {
		if !descends(pid, os.Getpid()) {
			return fmt.Errorf("semper shares its cgroup with other programs (process %d); run it as a service with Delegate=yes", pid)
		}
	}
	to := filepath.Join(base, leaf)
	if err := os.Mkdir(to, 0o755); err != nil && !errors.Is(err, os.ErrExist) {
		return err
	}
	for _, pid := range pids {
		err := write(filepath.Join(to, "cgroup.procs"), fmt.Sprint(pid))
		if err != nil && !errors.Is(err, unix.ESRCH) {
			return err
		}
	}
	return nil
}

// descends reports whether pid is ancestor or was started below it.
func descends(pid, ancestor int) bool {
	for depth := 0; pid > 1 && depth < 64; depth++ {
		if pid == ancestor {
			return true
		}
		b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
		if err != nil {
			return true // ended meanwhile
		}
		parent, _ := field(string(b), "PPid:")
		pid = int(parent)
	}
	return false
}

func words(path string) ([]string, error) {
	b, err := os.ReadFile(path)
	return strings.Fields(string(b)), err
}

// write writes one value to a control file, which must exist.
func write(path, value string) error {
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = f.WriteString(value)
	if e := f.Close(); err == nil {
		err = e
	}
	return err
}
