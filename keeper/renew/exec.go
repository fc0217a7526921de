package renew

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"semper"
	"semper/internal/handoff"
)

// Env tells a process that it is the successor of another in its place, and which descriptors it was left.
const Env = "SEMPER_KEEPER_KEPT"

// Become executes the binary at path in place of this process, with the same arguments, pid and
// children, and lets the descriptors of kept through. It returns only when that failed, and then
// nothing has changed.
func Become(path string, kept []handoff.Socket) error {
	words := make([]string, len(kept))
	for i, s := range kept {
		words[i] = s.Name + "=" + strconv.Itoa(s.FD())
	}
	env := append(os.Environ(), Env+"="+strings.Join(words, ","))
	// No process may be started while the descriptors would leak into it.
	syscall.ForkLock.Lock()
	defer syscall.ForkLock.Unlock()
	defer func() {
		for _, s := range kept {
			unix.CloseOnExec(s.FD())
		}
	}()
	for _, s := range kept {
		if _, err := unix.FcntlInt(uintptr(s.FD()), unix.F_SETFD, 0); err != nil {
			return &semper.Error{Code: semper.Internal, Op: "upgrade", Message: s.Name, Err: err}
		}
	}
	err := syscall.Exec(path, os.Args, env)
	return &semper.Error{Code: semper.Internal, Op: "upgrade", Message: "the keeper could not replace itself", Err: err}
}

// Kept are the descriptors this process was left by the one it succeeds, by name and marked
// close-on-exec again; none when it is a new process. The variable is removed from the environment.
func Kept() ([]handoff.Socket, error) {
	v := os.Getenv(Env)
	if v == "" {
		return nil, nil
	}
	if err := os.Unsetenv(Env); err != nil {
		return nil, err
	}
	var kept []handoff.Socket
	for word := range strings.SplitSeq(v, ",") {
		name, number, _ := strings.Cut(word, "=")
		fd, err := strconv.Atoi(number)
		if err != nil || fd < 3 {
			return nil, fmt.Errorf("%s: %q is not name=descriptor", Env, word)
		}
		unix.CloseOnExec(fd)
		kept = append(kept, handoff.NewSocket(name, fd))
	}
	return kept, nil
}
