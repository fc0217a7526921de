// Package rig starts a real semper and drives it from outside, as a person or a service manager
// would: through its command line, its process table and its public port. It looks at /proc rather
// than at what semper says wherever the figure is one that semper could be wrong about.
package rig

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"semper/api"
	"semper/internal/reserve"
)

// A Server is one `semper server run` and everything it starts. It belongs to one goroutine.
type Server struct {
	Bin  string // path of the binary
	Dir  string // data directory
	HTTP string // public address
	API  string // TCP address of the API, "" for the socket only
	Log  string // file that takes the server's output

	keeper *exec.Cmd
	ended  chan struct{} // closed when keeper has ended
}

// FreeAddress is a loopback address nobody listens on. It is kept free for who is told to, as long as this process lives.
func FreeAddress() (string, error) {
	p, err := reserve.Open()
	if err != nil {
		return "", err
	}
	return p.Address(), nil
}

// Start runs the server and waits until it tells its service manager that it is ready. It is also
// how a server whose keeper was killed is started again.
func (s *Server) Start(ctx context.Context) error {
	dir, err := os.MkdirTemp("", "rig") // short: a unix socket's path is bounded
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	told, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: filepath.Join(dir, "notify"), Net: "unixgram"})
	if err != nil {
		return err
	}
	defer told.Close()
	log, err := os.OpenFile(s.Log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	defer log.Close()
	args := []string{"server", "run", "--data", s.Dir, "--http", s.HTTP}
	if s.API != "" {
		args = append(args, "--api", s.API)
	}
	cmd := exec.Command(s.Bin, args...)
	cmd.Env = append(os.Environ(), "NOTIFY_SOCKET="+told.LocalAddr().String())
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // a Ctrl-C meant for us is not one for it
	if err := cmd.Start(); err != nil {
		return err
	}
	ended := make(chan struct{})
	go func() { _ = cmd.Wait(); close(ended) }()
	s.keeper, s.ended = cmd, ended
	if err := ready(ctx, told, ended); err != nil {
		return fmt.Errorf("semper did not come up: %w\n%s", err, s.Logs())
	}
	return nil
}

// Logs is the end of what the server and each of its parts have said, for who has to find out why something went wrong.
func (s *Server) Logs() string {
	parts, _ := filepath.Glob(filepath.Join(s.Dir, "keeper", "parts", "*.log"))
	var all strings.Builder
	for _, path := range append([]string{s.Log}, parts...) {
		text, err := os.ReadFile(path)
		if err != nil {
			text = []byte(err.Error())
		}
		fmt.Fprintf(&all, "%s:\n%s\n", filepath.Base(path), text[max(0, len(text)-4000):])
	}
	return all.String()
}

// ready waits for READY=1 on the socket.
func ready(ctx context.Context, told *net.UnixConn, ended <-chan struct{}) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	heard := make(chan error, 1)
	go func() {
		b := make([]byte, 4096)
		for {
			n, err := told.Read(b)
			if err != nil {
				heard <- err
				return
			}
			if bytes.Contains(b[:n], []byte("READY=1")) {
				heard <- nil
				return
			}
		}
	}()
	defer told.Close() // ends the reader
	select {
	case err := <-heard:
		return err
	case <-ended:
		return errors.New("it ended")
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Ended is closed when the keeper this Server started has ended.
func (s *Server) Ended() <-chan struct{} { return s.ended }

// KeeperPID is the process of the keeper this Server started.
func (s *Server) KeeperPID() int { return s.keeper.Process.Pid }

// Stop ends the server and everything it runs, in order; what has not ended within the time is killed.
func (s *Server) Stop() error {
	if s.keeper == nil {
		return nil
	}
	_ = s.keeper.Process.Signal(os.Interrupt)
	t := time.NewTimer(30 * time.Second)
	defer t.Stop()
	select {
	case <-s.ended:
	case <-t.C:
	}
	return s.KillAll()
}

// KillAll ends with SIGKILL, at once, everything of this server: the power cut of a simulation. It
// goes on until nothing is left, because a supervisor killed last may have started one more.
func (s *Server) KillAll() error {
	for range 100 {
		all, err := s.Processes()
		if err != nil {
			return err
		}
		if len(all) == 0 {
			return nil
		}
		for _, p := range all { // the keeper comes first
			_ = syscall.Kill(p.PID, syscall.SIGKILL)
		}
		for _, p := range all {
			waitGone(p.PID, time.Second)
		}
	}
	return errors.New("processes remain after 100 rounds of SIGKILL")
}

// Run performs one semper command and returns what it wrote to standard output.
func (s *Server) Run(ctx context.Context, args ...string) ([]byte, error) {
	out, _, err := s.RunUsing(ctx, args...)
	return out, err
}

// RunUsing is Run, and tells the processor time the command used.
func (s *Server) RunUsing(ctx context.Context, args ...string) ([]byte, time.Duration, error) {
	cmd := exec.CommandContext(ctx, s.Bin, args...)
	cmd.Env = append(os.Environ(), "SEMPER_HOST="+s.Host(), "NO_COLOR=1")
	var out, talk bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &talk
	err := cmd.Run()
	var used time.Duration
	if st := cmd.ProcessState; st != nil {
		used = st.UserTime() + st.SystemTime()
	}
	if err != nil {
		return out.Bytes(), used, fmt.Errorf("semper %s: %w\n%s", strings.Join(args, " "), err, talk.String())
	}
	return out.Bytes(), used, nil
}

// Host is the value of SEMPER_HOST for this server.
func (s *Server) Host() string { return "unix://" + filepath.Join(s.Dir, "api.sock") }

// Status is `semper status` of an app.
func (s *Server) Status(ctx context.Context, app string) (api.Status, error) {
	var st api.Status
	out, err := s.Run(ctx, "status", "--app", app, "-o", "json")
	if err != nil {
		return st, err
	}
	if err := json.Unmarshal(out, &st); err != nil {
		return st, fmt.Errorf("semper status: %w in %.200q", err, out)
	}
	return st, nil
}

// Deploy deploys what is in dir and returns when production has moved, with the time it took.
func (s *Server) Deploy(ctx context.Context, dir string) (time.Duration, error) {
	took, _, err := s.DeployUsing(ctx, dir)
	return took, err
}

// DeployUsing is Deploy, and tells the processor time the command used.
func (s *Server) DeployUsing(ctx context.Context, dir string) (took, used time.Duration, err error) {
	began := time.Now()
	_, used, err = s.RunUsing(ctx, "deploy", "-f", dir, "--progress", "quiet")
	return time.Since(began), used, err
}

// Until asks for the status of an app until ok holds for it. Errors in between count as "not yet":
// control may be the one that was killed.
func (s *Server) Until(ctx context.Context, app string, within time.Duration, ok func(api.Status) bool) (api.Status, error) {
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		st, err := s.Status(ctx, app)
		if err == nil && ok(st) {
			return st, nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			if err == nil {
				err = ctx.Err()
			}
			return st, fmt.Errorf("not within %v: %w", within, err)
		}
	}
}
