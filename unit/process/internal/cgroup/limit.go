package cgroup

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"

	"semper"
)

// cpuPeriod is the time, in microseconds, a share of the processors is counted over.
const cpuPeriod = 100_000

// limit is one bound of a cgroup: what to write where, in either version.
type limit struct {
	controller string
	first      []setting // cgroup v1
	second     []setting // cgroup v2
}

// setting is one value of one control file.
type setting struct {
	file, value string
	optional    bool // the kernel may be built without it
}

// limitsOf is l as settings.
func limitsOf(l semper.Limits) []limit {
	var all []limit
	if l.Memory > 0 {
		n := strconv.FormatInt(l.Memory, 10)
		// With swap left open a limit would only move the surplus to disk.
		all = append(all, limit{
			controller: "memory",
			first:      []setting{{"memory.limit_in_bytes", n, false}, {"memory.memsw.limit_in_bytes", n, true}},
			second:     []setting{{"memory.max", n, false}, {"memory.swap.max", "0", true}},
		})
	}
	if l.CPU > 0 {
		quota := strconv.Itoa(max(1000, int(l.CPU*cpuPeriod)))
		period := strconv.Itoa(cpuPeriod)
		all = append(all, limit{
			controller: "cpu",
			first:      []setting{{"cpu.cfs_period_us", period, false}, {"cpu.cfs_quota_us", quota, false}},
			second:     []setting{{"cpu.max", quota + " " + period, false}},
		})
	}
	if l.PIDs > 0 {
		n := []setting{{"pids.max", strconv.Itoa(l.PIDs), false}}
		all = append(all, limit{controller: "pids", first: n, second: n})
	}
	return all
}

// set puts l in force.
func (g *Group) set(l limit) error {
	dir, settings := g.Dir(l.controller), l.first
	if dir == "" {
		dir, settings = g.Dir(Unified), l.second
	}
	if dir == "" {
		return errors.New("this machine gives semper no cgroup for it")
	}
	for _, s := range settings {
		err := write(filepath.Join(dir, s.file), s.value)
		if errors.Is(err, os.ErrNotExist) {
			if s.optional {
				continue
			}
			return fmt.Errorf("its cgroup has no %s controller", l.controller)
		}
		if err != nil && !s.optional {
			return err
		}
	}
	return nil
}
