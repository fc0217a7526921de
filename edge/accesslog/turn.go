package accesslog

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strconv"
	"syscall"
	"time"
)

const (
	// checkEvery is how often the file is looked at, which others may write to and rename.
	checkEvery = time.Second
	// turnAgain is after how long it is tried again to begin it anew. Until then it grows.
	turnAgain = time.Minute
)

// turn begins the file anew when it is as large as it may get, or when another process has done so.
func (s *sink) turn(now time.Time) {
	if s.limit <= 0 || s.size < s.limit && now.Sub(s.checked) < checkEvery {
		return
	}
	s.checked = now
	there, err := s.there()
	if err == nil && there && s.size >= s.limit {
		err = s.rename()
		there = false
	}
	if err == nil && !there {
		err = s.open()
	}
	if err != nil {
		s.size, s.checked = 0, now.Add(turnAgain)
		s.tell(fmt.Errorf("begin the access log anew: %w", err))
	}
}

// there reports whether the path is still that of the file, and brings the size up to date.
func (s *sink) there() (bool, error) {
	mine, err := s.file.Stat()
	if err != nil {
		return false, err
	}
	s.size = mine.Size()
	at, err := os.Stat(s.path)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil && os.SameFile(mine, at), err
}

// rename moves the file and those before it on by one, unless another process has been faster. Who renames a file has it
// locked; the lock goes with the file, which open closes.
func (s *sink) rename() error {
	switch err := syscall.Flock(int(s.file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); {
	case errors.Is(err, syscall.EWOULDBLOCK):
		return nil // it is being renamed: whichever file is at the path when it is opened next, it is tried again
	case err != nil:
		return err
	}
	there, err := s.there()
	if err != nil || !there || s.size < s.limit {
		return errors.Join(err, syscall.Flock(int(s.file.Fd()), syscall.LOCK_UN))
	}
	for i := s.keep; i > 0; i-- {
		from := s.path
		if i > 1 {
			from += "." + strconv.Itoa(i-1)
		}
		if err := os.Rename(from, s.path+"."+strconv.Itoa(i)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return errors.Join(err, syscall.Flock(int(s.file.Fd()), syscall.LOCK_UN))
		}
	}
	return nil
}
