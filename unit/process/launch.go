package process

import (
	"errors"
	"os"
	"runtime"
	"slices"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// launched is a process that exists and is past exec.
type launched struct {
	pid        int
	startTicks uint64
	pidfd      *os.File
	warned     []string
}

// launch forks and executes. Where something has to be set that only a thread can pass on to what it
// forks, it does so on a thread of its own.
func (c *command) launch() (launched, error) {
	run := c.forkExec
	if c.NoNewPrivs || len(c.ReadOnly) > 0 || c.group.Joins() {
		run = func() (launched, error) { return onOwnThread(c.launchChanged) }
	}
	l, err := run()
	// Another process may still be on its way from fork to exec with the file open for writing. No
	// event tells when it has passed, and it takes no longer than this.
	for pause := time.Millisecond; errors.Is(err, unix.ETXTBSY) && pause < 100*time.Millisecond; pause *= 2 {
		<-time.After(pause)
		l, err = run()
	}
	c.warned = append(c.warned, l.warned...)
	return l, err
}

// onOwnThread calls f on a thread that no other goroutine has used changed or will use after: the
// goroutine ends locked to it, so the runtime ends the thread. The main thread cannot end, and /proc/self
// shows its state: it is passed over.
func onOwnThread(f func() (launched, error)) (l launched, err error) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread()
		if unix.Gettid() != unix.Getpid() {
			l, err = f()
			return
		}
		l, err = onOwnThread(f)
		runtime.UnlockOSThread()
	}()
	<-done
	return l, err
}

// launchChanged changes the calling thread, which must not be used for anything else, and forks from it.
func (c *command) launchChanged() (launched, error) {
	var warned []string
	if err := c.group.Join(); err != nil {
		warned = append(warned, "limits are not in force: "+err.Error())
	}
	if err := hideWrites(c.ReadOnly); err != nil {
		warned = append(warned, "its files are not read-only for it: "+err.Error())
	}
	if c.NoNewPrivs {
		if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
			warned = append(warned, "no_new_privs is not set: "+err.Error())
		}
	}
	l, err := c.forkExec()
	l.warned = append(warned, l.warned...)
	if e := c.group.Leave(); e != nil {
		l.warned = append(l.warned, "semper could not leave its cgroup: "+e.Error())
	}
	return l, err
}

// hideWrites gives the thread a mount namespace of its own in which paths are read-only. Mounts made
// elsewhere later still appear in it.
func hideWrites(paths []string) error {
	if len(paths) == 0 {
		return nil
	}
	if os.Geteuid() != 0 {
		return errors.New("that needs root")
	}
	if err := unix.Unshare(unix.CLONE_NEWNS); err != nil {
		return os.NewSyscallError("unshare", err)
	}
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_SLAVE, ""); err != nil {
		return os.NewSyscallError("mount", err)
	}
	for _, p := range paths {
		if err := unix.Mount(p, p, "", unix.MS_BIND|unix.MS_REC, ""); err != nil {
			return &os.PathError{Op: "bind", Path: p, Err: err}
		}
		attr := unix.MountAttr{Attr_set: unix.MOUNT_ATTR_RDONLY}
		err := unix.MountSetattr(unix.AT_FDCWD, p, unix.AT_RECURSIVE, &attr)
		if errors.Is(err, unix.ENOSYS) {
			err = unix.Mount("", p, "", unix.MS_REMOUNT|unix.MS_BIND|unix.MS_RDONLY, "")
		}
		if err != nil {
			return &os.PathError{Op: "make read-only", Path: p, Err: err}
		}
	}
	return nil
}

// forkExec forks from the calling thread.
func (c *command) forkExec() (launched, error) {
	files, err := c.descriptors()
	if err != nil {
		return launched{}, err
	}
	defer runtime.KeepAlive(c)
	pidfd := -1
	attr := &syscall.ProcAttr{
		Dir:   c.Dir,
		Env:   c.env,
		Files: files,
		Sys:   &syscall.SysProcAttr{Setpgid: true, PidFD: &pidfd, Credential: c.credential()},
	}
	cgroup, closeCgroup := c.group.Descriptor()
	defer closeCgroup()
	attr.Sys.UseCgroupFD, attr.Sys.CgroupFD = cgroup >= 0, cgroup
	pid, err := syscall.ForkExec(c.exe, c.Argv, attr)
	var warned []string
	if err != nil && cgroup >= 0 && refusedCgroup(err) {
		attr.Sys.UseCgroupFD = false
		var again error
		if pid, again = syscall.ForkExec(c.exe, c.Argv, attr); again == nil {
			warned = append(warned, "it is outside its cgroup: "+err.Error())
		}
		err = again
	}
	if err != nil {
		return launched{}, err
	}
	l, err := hold(pid, pidfd)
	l.warned = warned
	return l, err
}

// refusedCgroup tells the errors that placing a child in a cgroup can bring and a program seldom does.
func refusedCgroup(err error) bool {
	return slices.ContainsFunc([]error{unix.EACCES, unix.EPERM, unix.EBUSY, unix.ENOSYS, unix.EOPNOTSUPP, unix.EINVAL, unix.ENODEV},
		func(e error) bool { return errors.Is(err, e) })
}

// hold makes a fresh child known by pidfd and start time. It is unreaped, so its pid cannot name another.
func hold(pid, pidfd int) (launched, error) {
	if pidfd < 0 {
		fd, err := unix.PidfdOpen(pid, 0)
		if err != nil {
			return launched{}, discard(pid, os.NewSyscallError("pidfd_open", err))
		}
		pidfd = fd
	}
	_ = unix.SetNonblock(pidfd, true) // so that the runtime's poller waits for it instead of a thread
	f := os.NewFile(uintptr(pidfd), "pidfd")
	st, err := readStat(pid)
	if err != nil {
		_ = f.Close()
		return launched{}, discard(pid, err)
	}
	return launched{pid: pid, startTicks: st.start, pidfd: f}, nil
}

// discard ends a child that cannot be held.
func discard(pid int, why error) error {
	_ = unix.Kill(-pid, unix.SIGKILL)
	for {
		if _, err := unix.Wait4(pid, nil, 0, nil); !errors.Is(err, unix.EINTR) {
			return why
		}
	}
}

// descriptors is what the process gets as 0, 1, 2, …. They are read without [os.File.Fd], which
// would make a listener blocking for every process that shares it.
func (c *command) descriptors() ([]uintptr, error) {
	out := c.output
	if out == nil {
		out = os.Stderr
	}
	errs := c.errors
	if errs == nil {
		errs = out
	}
	var fds []uintptr
	for _, f := range append([]*os.File{c.null, out, errs}, c.ExtraFiles...) {
		raw, err := f.SyscallConn()
		if err == nil {
			err = raw.Control(func(fd uintptr) { fds = append(fds, fd) })
		}
		if err != nil {
			return nil, err
		}
	}
	return fds, nil
}

func (c *command) credential() *syscall.Credential {
	if c.Credential == nil {
		return nil
	}
	cr := &syscall.Credential{
		Uid:         uint32(c.Credential.UID),
		Gid:         uint32(c.Credential.GID),
		NoSetGroups: os.Geteuid() != 0,
	}
	for _, g := range c.Credential.Groups {
		cr.Groups = append(cr.Groups, uint32(g))
	}
	return cr
}
