package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"semper/internal/reserve"
)

// rabbitmq is a broker of this bench's own: on loopback, with its own data, its own port mapper and no plugins. It syncs before it
// confirms a persistent message, as Debian sets it up and as its makers do.
type rabbitmq struct {
	dir      string
	amqp     string // address
	version  string
	env      []string
	commands []*command
}

// rabbitProgram is what Debian's package starts, but as the user who runs the bench.
const rabbitProgram = "/usr/lib/rabbitmq/bin/rabbitmq-server"

func startRabbitMQ(ctx context.Context) (r *rabbitmq, err error) {
	if _, err := os.Stat(rabbitProgram); err != nil {
		return nil, fmt.Errorf("rabbitmq is not here: apt-get install rabbitmq-server")
	}
	r = &rabbitmq{version: debianVersion(ctx)}
	defer func() {
		if err != nil {
			r.stop()
		}
	}()
	if r.dir, err = os.MkdirTemp("", "rabbit"); err != nil {
		return nil, err
	}
	var ports [3]string
	for i := range ports {
		p, err := reserve.Open()
		if err != nil {
			return nil, err
		}
		_, ports[i], _ = net.SplitHostPort(p.Address())
	}
	r.amqp = "127.0.0.1:" + ports[0]
	conf := fmt.Sprintf("listeners.tcp.default = %s\ndistribution.listener.port_range.min = %s\ndistribution.listener.port_range.max = %s\nlog.console = false\n", r.amqp, ports[1], ports[1])
	for name, text := range map[string]string{"rabbitmq.conf": conf, "plugins": "[].\n"} {
		if err := os.WriteFile(filepath.Join(r.dir, name), []byte(text), 0o644); err != nil {
			return nil, err
		}
	}
	env := append(os.Environ(), "HOME="+r.dir, "ERL_EPMD_PORT="+ports[2], "ERL_EPMD_ADDRESS=127.0.0.1",
		"RABBITMQ_NODENAME=bench@localhost", "RABBITMQ_CONFIG_FILE="+filepath.Join(r.dir, "rabbitmq"),
		"RABBITMQ_MNESIA_BASE="+filepath.Join(r.dir, "data"), "RABBITMQ_LOG_BASE="+filepath.Join(r.dir, "log"),
		"RABBITMQ_ENABLED_PLUGINS_FILE="+filepath.Join(r.dir, "plugins"), "RABBITMQ_PID_FILE="+filepath.Join(r.dir, "pid"))
	r.env = env
	if err := r.run("epmd", "-port", ports[2], "-address", "127.0.0.1"); err != nil {
		return nil, err
	}
	if err := r.run(rabbitProgram); err != nil {
		return nil, err
	}
	return r, r.await(ctx)
}

// run starts a program in a group of its own.
func (r *rabbitmq) run(program string, args ...string) error {
	cmd := exec.Command(program, args...)
	cmd.Env, cmd.Dir = r.env, r.dir
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	log, err := os.Create(filepath.Join(r.dir, filepath.Base(program)+".out"))
	if err != nil {
		return err
	}
	cmd.Stdout, cmd.Stderr = log, log
	err = cmd.Start()
	_ = log.Close()
	if err == nil {
		c := &command{name: filepath.Base(program), group: cmd.Process.Pid, ended: make(chan error, 1)}
		go func() { c.ended <- cmd.Wait() }()
		r.commands = append(r.commands, c)
	}
	return err
}

// A command leads a group of its own.
type command struct {
	name  string
	group int
	ended chan error
}

// debianVersion is that of the package.
func debianVersion(ctx context.Context) string {
	text, err := exec.CommandContext(ctx, "dpkg-query", "--show", "--showformat", "${source:Upstream-Version}", "rabbitmq-server").Output()
	if err != nil {
		return "of an unknown version"
	}
	return string(text)
}

// await returns when the broker answers.
func (r *rabbitmq) await(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		conn, err := new(net.Dialer).DialContext(ctx, "tcp", r.amqp)
		if err == nil {
			return conn.Close()
		}
		broker := r.commands[len(r.commands)-1]
		select {
		case <-tick.C:
			continue
		case err = <-broker.ended:
			broker.ended <- err
		case <-ctx.Done():
			err = ctx.Err()
		}
		text, _ := os.ReadFile(filepath.Join(r.dir, "rabbitmq-server.out"))
		return fmt.Errorf("rabbitmq did not come up: %w: %s", err, text[:min(len(text), 600)])
	}
}

// stop ends the processes that were started here, by their groups, and removes their data.
func (r *rabbitmq) stop() {
	for _, c := range r.commands {
		_ = syscall.Kill(-c.group, syscall.SIGKILL)
		<-c.ended //nolint:errcheck // it was killed
	}
	if r.dir != "" {
		_ = os.RemoveAll(r.dir)
	}
}
