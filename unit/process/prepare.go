package process

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"semper"
	"semper/unit/process/internal/cgroup"

	"golang.org/x/sys/unix"
)

// markerKey is the environment variable that tells which incarnation a process belongs to.
const markerKey = "SEMPER_INCARNATION"

// command is an Options made ready to fork: looked up, opened, with its cgroup.
type command struct {
	Options
	exe    string   // the file to execute, absolute
	env    []string // with the marker
	null   *os.File // standard input
	output *os.File // nil: the caller's standard error
	errors *os.File // nil: output
	group  *cgroup.Group
	warned []string
}

// prepare does everything that can fail before the fork. What it opened is closed by close; the
// cgroup is the caller's to remove.
func (o Options) prepare() (*command, error) {
	c := &command{Options: o, group: &cgroup.Group{}}
	ok := false
	defer func() {
		if !ok {
			c.close()
			c.group.Remove()
		}
	}()
	if err := c.find(); err != nil {
		return nil, err
	}
	c.env = append(slices.DeleteFunc(slices.Clone(o.Env), func(kv string) bool {
		return strings.HasPrefix(kv, markerKey+"=")
	}), c.marker()...)
	if err := c.open(); err != nil {
		return nil, err
	}
	if o.PreStart != nil {
		if err := o.PreStart(); err != nil {
			return nil, err
		}
	}
	c.makeGroup()
	ok = true
	return c, nil
}

func (c *command) marker() []string {
	if c.Marker == "" {
		return nil
	}
	return []string{markerKey + "=" + c.Marker}
}

func (c *command) find() error {
	if len(c.Argv) == 0 || c.Argv[0] == "" {
		return c.invalid("no command", "give the service a command")
	}
	if c.Dir == "" {
		c.Dir = "."
	}
	dir, err := filepath.Abs(c.Dir)
	if err != nil {
		return c.errorOf(err)
	}
	c.Dir = dir
	if st, err := os.Stat(dir); err != nil || !st.IsDir() {
		return c.invalid("the working directory "+dir+" does not exist", "")
	}
	if c.exe = c.Exe; c.exe != "" {
		return nil
	}
	c.exe, err = c.lookUp()
	return err
}

// open opens standard input and the log. The log is never reached through a link: its folder may
// belong to the process's user, who must not make semper write, or give away, a file of another.
func (c *command) open() error {
	var err error
	if c.null, err = os.Open(os.DevNull); err != nil {
		return c.errorOf(err)
	}
	if c.output, err = c.log(c.Output); err != nil {
		return err
	}
	c.errors, err = c.log(c.Errors)
	return err
}

// log opens one of the process's files; none where it has no name.
func (c *command) log(path string) (*os.File, error) {
	if path == "" {
		return nil, nil
	}
	f, err := openLog(path)
	if err != nil {
		return nil, &semper.Error{Code: codeOf(err), Op: c.op(), Message: "its log", Err: err}
	}
	if c.Credential != nil && os.Geteuid() == 0 {
		// A program that opens /dev/stderr opens the file anew, as its user.
		if err := f.Chown(c.Credential.UID, c.Credential.GID); err != nil {
			return nil, errors.Join(c.errorOf(err), f.Close())
		}
	}
	return f, nil
}

func openLog(path string) (*os.File, error) {
	const flags = os.O_WRONLY | os.O_APPEND | os.O_CREATE | unix.O_NOFOLLOW | unix.O_NONBLOCK
	f, err := os.OpenFile(path, flags, 0o640)
	if err != nil {
		return nil, err
	}
	st, err := f.Stat()
	if err == nil && (!st.Mode().IsRegular() || st.Sys().(*syscall.Stat_t).Nlink > 1) {
		err = errors.New(path + " is not a plain file with one name")
	}
	if err != nil {
		_ = f.Close()
		return nil, err
	}
	return f, nil
}

// makeGroup makes the cgroup. No cgroup is no reason not to run: the warning says what is missing.
func (c *command) makeGroup() {
	limited := c.Limits.Memory > 0 || c.Limits.CPU > 0 || c.Limits.PIDs > 0
	if c.Cgroup == "" {
		if limited {
			c.warn("limits are not in force: it has no cgroup")
		}
		return
	}
	g, missing := cgroup.New(c.Cgroup, c.Limits)
	c.group = g
	if missing != "" {
		c.warn(missing)
	}
}

func (c *command) warn(s string) { c.warned = append(c.warned, s) }

func (c *command) warnings() string { return strings.Join(c.warned, "; ") }

func (c *command) close() {
	for _, f := range []*os.File{c.null, c.output, c.errors} {
		if f != nil {
			_ = f.Close()
		}
	}
}

func (c *command) op() string {
	if c.Name == "" {
		return "start"
	}
	return "start " + c.Name
}

func (c *command) invalid(message, hint string) error {
	return &semper.Error{Code: semper.Invalid, Op: c.op(), Message: message, Hint: hint}
}

// errorOf wraps an error of this machine, nil for nil.
func (c *command) errorOf(err error) error {
	if err == nil {
		return nil
	}
	return &semper.Error{Code: codeOf(err), Op: c.op(), Err: err}
}

func codeOf(err error) semper.Code {
	switch {
	case errors.Is(err, unix.ENOSPC), errors.Is(err, unix.EDQUOT):
		return semper.NoSpace
	case errors.Is(err, fs.ErrPermission):
		return semper.Forbidden
	case errors.Is(err, unix.EAGAIN), errors.Is(err, unix.EMFILE), errors.Is(err, unix.ENFILE), errors.Is(err, unix.ENOMEM):
		return semper.Unavailable
	}
	return semper.Internal
}
