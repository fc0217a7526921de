package process

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// maxLinks is how many symbolic links the kernel follows in one path.
const maxLinks = 40

// Reachable tells why the user uid with the single group gid could not get to path and use it: search
// every folder on the way (links included), read the last component, and execute it where it is a folder or has
// an execute bit. nil says it could, by the mode bits; access lists are not looked at.
func Reachable(path string, uid, gid int) error {
	abs, err := filepath.Abs(path)
	if err != nil {
		return err
	}
	links := 0
	todo := strings.Split(abs, "/")[1:]
	at := "/"
	for len(todo) > 0 {
		name := todo[0]
		todo = todo[1:]
		switch name {
		case "", ".":
			continue
		case "..":
			at = filepath.Dir(at)
			continue
		}
		if err := permitted(at, uid, gid, 1); err != nil {
			return err
		}
		next := filepath.Join(at, name)
		to, err := os.Readlink(next)
		if err != nil {
			at = next
			continue
		}
		if links++; links > maxLinks {
			return &os.PathError{Op: "reach", Path: path, Err: syscall.ELOOP}
		}
		if filepath.IsAbs(to) {
			at = "/"
		}
		todo = append(strings.Split(to, "/"), todo...)
	}
	st, err := os.Stat(at)
	if err != nil {
		return err
	}
	need := os.FileMode(4)
	if st.IsDir() || st.Mode()&0o111 != 0 {
		need = 5
	}
	return permitted(at, uid, gid, need)
}

// permitted checks the bits of need (4 read, 1 execute or search) of the class the user is in.
func permitted(path string, uid, gid int, need os.FileMode) error {
	st, err := os.Stat(path)
	if err != nil {
		return err
	}
	sys, ok := st.Sys().(*syscall.Stat_t)
	if !ok {
		return errors.ErrUnsupported
	}
	mode := st.Mode().Perm()
	switch {
	case uid == 0:
		return nil
	case int(sys.Uid) == uid:
		mode >>= 6
	case int(sys.Gid) == gid:
		mode >>= 3
	}
	if mode&need == need {
		return nil
	}
	return fmt.Errorf("user %d cannot use %s (mode %s, owner %d:%d)", uid, path, st.Mode(), sys.Uid, sys.Gid)
}
