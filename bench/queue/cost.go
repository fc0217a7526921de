package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"runtime/pprof"
	"strings"
	"syscall"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"
)

// cost is processor time, which is the same on a machine that does other things too, and commits, which the disk has
// to wait for.
type cost struct {
	here, store time.Duration
	revision    int64
}

// tick is the unit of times in /proc/<pid>/stat: USER_HZ, which is 100 on every Linux that Go runs on.
const tick = 10 * time.Millisecond

// spent is the cost so far, of this process and of the store since its last start.
func (b *bench) spent() (c cost, err error) {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return c, err
	}
	c.here = time.Duration(u.Utime.Nano() + u.Stime.Nano())
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", b.store.cmd.Process.Pid))
	if err != nil {
		return c, err
	}
	_, rest, _ := strings.Cut(string(text), ") ")
	var utime, stime int64
	fields := strings.Fields(rest)
	if len(fields) < 13 {
		return c, fmt.Errorf("/proc/<pid>/stat has %d fields", len(fields))
	}
	if _, err := fmt.Sscan(fields[11]+" "+fields[12], &utime, &stime); err != nil {
		return c, err
	}
	c.store = time.Duration(utime+stime) * tick
	r, err := b.raws.Get(context.Background(), "none")
	if err != nil {
		return c, err
	}
	c.revision = r.Header.Revision
	return c, nil
}

// per is what n jobs have cost since was, in words.
func (b *bench) per(was cost, n int64) string {
	now, err := b.spent()
	if err != nil || n == 0 {
		return "unknown"
	}
	ms := func(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) / float64(n) * 1000 }
	commits := float64(now.revision-was.revision) / float64(n) * 1000
	return fmt.Sprintf("%.0f + %.0f ms, %.1f commits", ms(now.here-was.here), ms(now.store-was.store), commits)
}

func (b *bench) connect() (err error) {
	b.raws, err = clientv3.New(clientv3.Config{Endpoints: []string{"unix://" + b.store.socket()}, Logger: zap.NewNop()})
	return err
}

// profiled measures with a profile of this process in dir, if there is one.
func profiled(dir, name string, measure func() error) error {
	if dir == "" {
		return measure()
	}
	f, err := os.Create(filepath.Join(dir, name+".prof"))
	if err != nil {
		return err
	}
	defer f.Close()
	if err := pprof.StartCPUProfile(f); err != nil {
		return err
	}
	defer pprof.StopCPUProfile()
	return measure()
}
