package main

import (
	"runtime"
	"time"

	"semper/bench/proxy/proc"
)

// noise tells how much of the machine others had: a figure made beside their work is no figure of the proxy alone.
type noise struct {
	began   time.Time
	others  proc.Others
	machine proc.Machine
}

func (n *noise) begin() (err error) {
	n.began = time.Now()
	if n.others, err = proc.OthersNow(); err != nil {
		return err
	}
	n.machine, err = proc.MachineNow()
	return err
}

// end returns what other processes had since begin, and what other virtual machines had, both as a share of all cores.
func (n *noise) end() (others, stolen float64, err error) {
	have, err := proc.OthersNow()
	if err != nil {
		return 0, 0, err
	}
	now, err := proc.MachineNow()
	if err != nil {
		return 0, 0, err
	}
	others, stolen = share(time.Since(n.began), runtime.NumCPU(), have.Since(n.others), now.Stolen-n.machine.Stolen)
	return others, stolen, nil
}

func share(elapsed time.Duration, cores int, others, stolen time.Duration) (theirs, away float64) {
	all := elapsed.Seconds() * float64(cores)
	if all <= 0 {
		return 0, 0
	}
	return others.Seconds() / all, stolen.Seconds() / all
}
