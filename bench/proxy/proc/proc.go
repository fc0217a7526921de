package proc

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strconv"
	"syscall"
	"time"
)

// A Process runs until Stop. Its methods may be called from any goroutine.
type Process struct {
	PID   int
	name  string
	log   string
	ended chan struct{} // closed when it has been waited for
}

// Start runs argv on one core, with env on top of this process's environment and its output in the file log. It ends when this process
// does, however that ends.
func Start(core int, log string, env []string, argv ...string) (*Process, error) {
	out, err := os.Create(log)
	if err != nil {
		return nil, err
	}
	defer out.Close()
	cmd := exec.Command("taskset", append([]string{"-c", strconv.Itoa(core)}, argv...)...)
	cmd.Env = append(os.Environ(), env...)
	cmd.Stdout, cmd.Stderr = out, out
	// A group of its own, so that a Ctrl-C is ours alone, and so that Stop reaches workers too.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGTERM}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", argv[0], err)
	}
	p := &Process{PID: cmd.Process.Pid, name: argv[0], log: log, ended: make(chan struct{})}
	go func() { _ = cmd.Wait(); close(p.ended) }()
	return p, nil
}

// patience is how long a process may take to come up, and to end by itself.
const patience = 10 * time.Second

// Ready waits until something accepts at every address, "host:port" or a path.
func (p *Process) Ready(ctx context.Context, addresses ...string) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for _, address := range addresses {
		network := "tcp"
		if address[0] == '/' {
			network = "unix"
		}
		for {
			c, err := net.Dial(network, address)
			if err == nil {
				c.Close()
				break
			}
			select {
			case <-tick.C:
			case <-p.ended:
				return fmt.Errorf("%s ended instead of listening on %s; it wrote:\n%s", p.name, address, p.tail())
			case <-ctx.Done():
				return fmt.Errorf("%s does not listen on %s: %w; it wrote:\n%s", p.name, address, err, p.tail())
			}
		}
	}
	return nil
}

// Alive is an error that says how the process ended, when it has.
func (p *Process) Alive() error {
	select {
	case <-p.ended:
		return fmt.Errorf("%s ended while it was measured; it wrote:\n%s", p.name, p.tail())
	default:
		return nil
	}
}

// Stop ends the process and its group, asking first, and waits. Calling it again does nothing.
func (p *Process) Stop() {
	select {
	case <-p.ended:
		return
	default:
	}
	_ = syscall.Kill(p.PID, syscall.SIGTERM)
	t := time.AfterFunc(patience, func() { _ = syscall.Kill(-p.PID, syscall.SIGKILL) })
	defer t.Stop()
	<-p.ended
	_ = syscall.Kill(-p.PID, syscall.SIGKILL) // workers that did not hear of it; nobody else can have this group so soon
}

// tail is the end of what the process wrote.
func (p *Process) tail() []byte {
	text, err := os.ReadFile(p.log)
	if err != nil {
		return []byte(err.Error())
	}
	return text[max(0, len(text)-2000):]
}

// Cores are the first two that this process may run on: one for what is measured, one for everything else.
func Cores() (measured, other int, err error) {
	all, err := allowed()
	if err != nil {
		return 0, 0, err
	}
	if len(all) < 2 {
		return 0, 0, errors.New("one core only: what is measured needs a core of its own, beside one for the load and the backend")
	}
	return all[0], all[1], nil
}
