package process

import "os"

// Resident is the resident memory in bytes of each process in pids together with those in its group, its session or its descent. Those
// that have ended are left out. Memory that several of them share counts for each. It reads /proc once, however many they are.
func Resident(pids []int) map[int]int64 {
	roots := make(map[int]bool, len(pids))
	for _, pid := range pids {
		roots[pid] = true
	}
	all := make(map[int]stat)
	processes(func(s stat) { all[s.pid] = s })
	page := int64(os.Getpagesize())
	out := make(map[int]int64, len(pids))
	for _, s := range all {
		if root, ok := rootOf(s, all, roots); ok {
			out[root] += int64(s.rss) * page
		}
	}
	return out
}

// rootOf is to which of roots s belongs. A parent that is read before its own parent changed may make a ring.
func rootOf(s stat, all map[int]stat, roots map[int]bool) (root int, ok bool) {
	for range len(all) {
		for _, pid := range []int{s.pid, s.pgrp, s.session} {
			if roots[pid] {
				return pid, true
			}
		}
		parent, known := all[s.ppid]
		if !known {
			break
		}
		s = parent
	}
	return 0, false
}
