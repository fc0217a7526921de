package process

import (
	"bufio"
	"debug/elf"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"semper"

	"golang.org/x/sys/unix"
)

// defaultPath is where commands are looked up when the environment has no PATH.
const defaultPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

// lookUp finds the file of Argv[0] as a shell in Dir with Env would.
func (c *command) lookUp() (string, error) {
	name := c.Argv[0]
	if strings.Contains(name, "/") {
		file := c.absolute(name)
		st, err := os.Stat(file)
		if errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ENOTDIR) {
			return "", c.notFound(fmt.Sprintf("command %s does not exist in %s", name, c.Dir), filepath.Dir(file))
		}
		if err == nil && st.IsDir() {
			return "", c.invalid("command "+name+" is a directory", "name a file in it")
		}
		return file, nil
	}
	path := c.path()
	var closed string // there, but not executable
	for _, dir := range path {
		file := filepath.Join(dir, name)
		st, err := os.Stat(file)
		if err != nil || st.IsDir() {
			continue
		}
		if st.Mode()&0o111 != 0 {
			return file, nil
		}
		closed = file
	}
	if closed != "" {
		return "", c.invalid(closed+" is not executable", "chmod +x "+closed)
	}
	if _, err := os.Stat(filepath.Join(c.Dir, name)); err == nil {
		return "", c.invalid("command "+name+" not found in PATH", "did you mean ./"+name+"?")
	}
	return "", c.notFound("command "+name+" not found in PATH", path...)
}

func (c *command) absolute(file string) string {
	if filepath.IsAbs(file) {
		return file
	}
	return filepath.Join(c.Dir, file)
}

func (c *command) path() []string {
	value := defaultPath
	for _, kv := range c.Env {
		if v, ok := strings.CutPrefix(kv, "PATH="); ok {
			value = v
		}
	}
	var dirs []string
	for _, dir := range filepath.SplitList(value) {
		dirs = append(dirs, c.absolute(dir))
	}
	return dirs
}

// notFound hints at the nearest name in dirs.
func (c *command) notFound(message string, dirs ...string) error {
	hint := "install it, or give the path of the file; PATH is that of the service's env"
	if strings.Contains(c.Argv[0], "/") {
		hint = "a command with a slash is looked up in the artifact"
	}
	if near := nearest(filepath.Base(c.Argv[0]), dirs); near != "" {
		hint = "did you mean " + strings.TrimSuffix(c.Argv[0], filepath.Base(c.Argv[0])) + near + "?"
	}
	return c.invalid(message, hint)
}

// nearest is the executable in dirs that is spelled most like name, "" when none is near.
func nearest(name string, dirs []string) string {
	best, least := "", max(1, len(name)/3)+1
	for _, dir := range dirs {
		entries, _ := os.ReadDir(dir)
		for _, e := range entries {
			d := distance(name, e.Name(), least)
			if d >= least {
				continue
			}
			if st, err := os.Stat(filepath.Join(dir, e.Name())); err == nil && !st.IsDir() && st.Mode()&0o111 != 0 {
				best, least = e.Name(), d
			}
		}
	}
	return best
}

// distance is how many letters have to be put in, left out, changed or swapped with their neighbour to
// get from a to b, or bound when it is not less.
func distance(a, b string, bound int) int {
	if max(len(a), len(b))-min(len(a), len(b)) >= bound {
		return bound
	}
	var before []int
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := 1; i <= len(a); i++ {
		next := make([]int, len(b)+1)
		next[0] = i
		for j := 1; j <= len(b); j++ {
			change := row[j-1]
			if a[i-1] != b[j-1] {
				change++
			}
			next[j] = min(change, row[j]+1, next[j-1]+1)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				next[j] = min(next[j], before[j-2]+1)
			}
		}
		before, row = row, next
	}
	return min(row[len(b)], bound)
}

// explain puts the error of a fork or exec in words about the command.
func (c *command) explain(err error) error {
	name := c.Argv[0]
	if c.Exe != "" {
		name = c.Exe
	}
	wrap := func(message, hint string) error {
		return &semper.Error{Code: semper.Invalid, Op: c.op(), Message: message, Hint: hint, Err: err}
	}
	switch {
	case errors.Is(err, unix.ENOENT):
		return wrap(c.missing(name))
	case errors.Is(err, unix.EACCES):
		return wrap(c.denied(name))
	case errors.Is(err, unix.EPERM) && c.Credential != nil && os.Geteuid() != 0:
		return wrap("only root can run a service as another user", "leave user out, or run semper as root")
	case errors.Is(err, unix.ENOEXEC):
		return wrap(c.foreign(name))
	case errors.Is(err, unix.ETXTBSY):
		return wrap(name+" is open for writing", "build to another file and rename it")
	case errors.Is(err, unix.E2BIG):
		return wrap("its arguments and environment are too long", "put large values in a file")
	case errors.Is(err, unix.EAGAIN):
		return &semper.Error{Code: semper.Unavailable, Op: c.op(), Message: "this machine's limit of processes is reached",
			Hint: "see ulimit -u and /proc/sys/kernel/pid_max", Err: err}
	}
	return c.errorOf(err)
}

// missing explains why a file that is there does not exist for exec.
func (c *command) missing(name string) (message, hint string) {
	if line := c.firstLine(); strings.HasPrefix(line, "#!") {
		interpreter, _, _ := strings.Cut(strings.Trim(line[2:], " \n"), " ")
		if strings.HasSuffix(interpreter, "\r") {
			return name + " has Windows line ends", "save it with Unix line ends (dos2unix " + name + ")"
		}
		return fmt.Sprintf("%s needs the interpreter %s, which does not exist", name, interpreter), "install it, or change the first line"
	}
	if f, err := elf.Open(c.exe); err == nil {
		defer f.Close()
		if s := f.Section(".interp"); s != nil {
			loader, _ := s.Data()
			return fmt.Sprintf("%s needs the loader %s, which does not exist", name, strings.TrimRight(string(loader), "\x00")),
				"it was built for another C library; link it statically (Go: CGO_ENABLED=0)"
		}
	}
	return name + " does not exist", ""
}

// denied explains a refused permission.
func (c *command) denied(name string) (message, hint string) {
	st, err := os.Stat(c.exe)
	switch {
	case err != nil:
		return name + " cannot be reached", ""
	case st.IsDir():
		return name + " is a directory", "name a file in it"
	case st.Mode()&0o111 == 0:
		return name + " is not executable", "chmod +x " + name
	}
	if cr := c.Credential; cr != nil {
		for _, path := range []string{c.Dir, c.exe} {
			if err := Reachable(path, cr.UID, cr.GID); err != nil {
				return err.Error(), "give that user the right to read it, or run the service as another"
			}
		}
	}
	var fs unix.Statfs_t
	if unix.Statfs(c.exe, &fs) == nil && fs.Flags&unix.ST_NOEXEC != 0 {
		return name + " is on a filesystem mounted noexec", "keep the data directory on another"
	}
	return name + " may not be executed", ""
}

// foreign explains a file the kernel cannot execute.
func (c *command) foreign(name string) (message, hint string) {
	f, err := elf.Open(c.exe)
	if err != nil {
		return name + " is neither a program nor a script with a #! line", "begin it with a line such as #!/bin/sh"
	}
	defer f.Close()
	machine := strings.ToLower(strings.TrimPrefix(f.Machine.String(), "EM_"))
	return fmt.Sprintf("%s is built for %s, this machine is %s", name, machine, runtime.GOARCH), "build it for GOOS=linux GOARCH=" + runtime.GOARCH
}

func (c *command) firstLine() string {
	f, err := os.Open(c.exe)
	if err != nil {
		return ""
	}
	defer f.Close()
	line, _ := bufio.NewReader(io.LimitReader(f, 4096)).ReadString('\n')
	return line
}
