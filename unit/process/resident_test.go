package process

import (
	"os"
	"os/exec"
	"testing"
)

// A shell and what it started count as one, and what has ended as nothing.
func TestResident(t *testing.T) {
	t.Parallel()
	cmd := exec.Command("sh", "-c", "cat & cat; wait")
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	s, err := readStat(cmd.Process.Pid)
	if err != nil {
		t.Fatal(err)
	}
	alone := int64(s.rss) * int64(os.Getpagesize())
	got := Resident([]int{cmd.Process.Pid, os.Getpid(), 1 << 30})
	if got[os.Getpid()] < 1<<20 {
		t.Errorf("this process has %d bytes", got[os.Getpid()])
	}
	if _, ok := got[1<<30]; ok {
		t.Error("a process that is not there has memory")
	}
	if alone > 0 && got[cmd.Process.Pid] < alone/2 {
		t.Errorf("with what it started it has %d bytes, alone %d", got[cmd.Process.Pid], alone)
	}
	if err := in.Close(); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Fatal(err)
	}
	if n, ok := Resident([]int{cmd.Process.Pid})[cmd.Process.Pid]; ok {
		t.Errorf("it has ended and has %d bytes", n)
	}
}

func TestRootOf(t *testing.T) {
	t.Parallel()
	all := map[int]stat{
		1: {pid: 1}, 10: {pid: 10, ppid: 1, pgrp: 10, session: 10}, 11: {pid: 11, ppid: 10, pgrp: 11, session: 11}, 12: {pid: 12, ppid: 11, pgrp: 12, session: 12},
		13: {pid: 13, ppid: 1, pgrp: 10, session: 10}, 20: {pid: 20, ppid: 21}, 21: {pid: 21, ppid: 20},
	}
	for pid, want := range map[int]int{1: 0, 10: 10, 11: 10, 12: 10, 13: 10, 20: 0} {
		if got, _ := rootOf(all[pid], all, map[int]bool{10: true}); got != want {
			t.Errorf("%d belongs to %d, and not to %d", pid, want, got)
		}
	}
}
