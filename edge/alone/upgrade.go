package alone

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"semper/internal/handoff"
	"semper/internal/notify"
	"semper/supervise"
)

// readyEnv names the descriptor that a new process writes to when it accepts.
const readyEnv = "SEMPER_EDGE_READY"

// readyWithin is how long a new process has for that.
const readyWithin = time.Minute

// lastWords is how long one that gave up has to say why.
const lastWords = 5 * time.Second

// upgraded is how the start of a new process went.
type upgraded struct {
	pid int
	err error
}

// upgrade starts the program anew on the same sockets. What becomes of it comes from s.upgraded.
func (s *server) upgrade(ctx context.Context) {
	if s.successor {
		s.log.Warn("a new process is being started already")
		return
	}
	s.successor = true
	var sockets []handoff.Socket
	for name, d := range s.doors {
		sockets = append(sockets, handoff.NewSocket(url.QueryEscape(name), d.socket.FD()))
	}
	sockets = append(sockets, s.portSockets()...)
	cmd, pipe, err := s.spawn(sockets)
	if err != nil {
		s.upgraded <- upgraded{err: err}
		return
	}
	pid := cmd.Process.Pid
	s.log.Info("a new process is being started", "pid", pid, "program", s.exe)
	if err := s.helpers.StartChild(context.WithoutCancel(ctx), supervise.ChildSpec{
		ID: fmt.Sprintf("upgrade to %d", pid), Restart: supervise.Temporary, Shutdown: supervise.Infinity,
		Start: supervise.Serve(func(ctx context.Context) error { // ends soon after readyWithin
			err := errBroken
			defer func() { s.upgraded <- upgraded{pid, err} }()
			err = s.await(ctx, cmd, pipe)
			return nil
		}),
	}); err != nil { // everything ends
		pipe.Close()              //nolint:errcheck // nobody reads it
		_ = cmd.Process.Kill()    // it would wait for its turn for ever
		_, _ = cmd.Process.Wait() // to leave no zombie
	}
}

var errBroken = errors.New("the wait for the new process broke off")

// spawn starts the program with sockets; pipe tells when it is ready.
func (s *server) spawn(sockets []handoff.Socket) (cmd *exec.Cmd, pipe *os.File, err error) {
	pipe, theirs, err := os.Pipe()
	if err != nil {
		return nil, nil, fmt.Errorf("start a new process: %w", err)
	}
	files := []*os.File{theirs}
	defer func() {
		for _, f := range files {
			f.Close() //nolint:errcheck // copies for the child
		}
		if err != nil {
			pipe.Close() //nolint:errcheck // nothing was read
		}
	}()
	for _, socket := range sockets {
		f, err := socket.File()
		if err != nil {
			return nil, pipe, err
		}
		files = append(files, f)
	}
	cmd = exec.Command(s.exe, s.o.Args...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.ExtraFiles = files
	cmd.Env = append(os.Environ(), readyEnv+"=3", handoff.Environ(sockets, 4))
	if err := cmd.Start(); err != nil {
		return nil, pipe, fmt.Errorf("start a new process: %w", err)
	}
	return cmd, pipe, nil
}

// await returns when the new process is ready; one that is not is ended.
func (s *server) await(ctx context.Context, cmd *exec.Cmd, pipe *os.File) error {
	defer pipe.Close() //nolint:errcheck // only read
	ctx, cancel := context.WithTimeout(ctx, readyWithin)
	defer cancel()
	defer context.AfterFunc(ctx, func() { _ = pipe.SetReadDeadline(time.Unix(1, 0)) })()
	var one [1]byte
	_, err := io.ReadFull(pipe, one[:])
	if err == nil {
		if err := notify.Send("MAINPID=" + strconv.Itoa(cmd.Process.Pid)); err != nil {
			s.log.Warn("the service manager was not told of the new process", "error", err)
		}
		return cmd.Process.Release()
	}
	if errors.Is(err, io.EOF) { // it ends by itself, and has something to say before
		kill := time.AfterFunc(lastWords, func() { _ = cmd.Process.Kill() })
		defer kill.Stop()
	} else {
		_ = cmd.Process.Kill() // it has not ended
	}
	state := cmd.Wait()
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded):
		return fmt.Errorf("the new process was not ready within %s", readyWithin)
	case state != nil:
		return fmt.Errorf("the new process ended: %w; what it said stands above", state)
	}
	return errors.New("the new process ended before it was ready")
}

// A successorEnd is what a process that was started by upgrade has of it; the zero value is that of any other.
type successorEnd struct{ pipe *os.File }

// heir finds out whether this process was started by upgrade.
func heir() (successorEnd, error) {
	v := os.Getenv(readyEnv)
	if v == "" {
		return successorEnd{}, nil
	}
	fd, err := strconv.Atoi(strings.TrimSpace(v))
	if err != nil || fd < 3 {
		return successorEnd{}, fmt.Errorf("%s=%q is no descriptor: unset it", readyEnv, v)
	}
	if err := os.Unsetenv(readyEnv); err != nil {
		return successorEnd{}, err
	}
	unix.CloseOnExec(fd)
	return successorEnd{os.NewFile(uintptr(fd), "ready")}, nil
}

// ready tells the process before that this one accepts.
func (e successorEnd) ready() error {
	if e.pipe == nil {
		return nil
	}
	_, err := e.pipe.Write([]byte{1})
	return errors.Join(err, e.pipe.Close())
}

// Close says that this process will never be ready.
func (e successorEnd) Close() error {
	if e.pipe == nil {
		return nil
	}
	return e.pipe.Close()
}
