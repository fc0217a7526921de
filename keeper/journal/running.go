package journal

import (
	"errors"
	"io/fs"
	"time"
)

// Running says that a keeper runs. It stands on disk from the keeper's start to its own end, so that
// one found at the next start tells of a keeper that was killed.
type Running struct {
	PID     int       `json:"pid"`
	Boot    string    `json:"boot"`
	Started time.Time `json:"started"`
}

// MarkRunning writes mine to path and returns the keeper that was killed before, the zero value when
// there was none: also when the machine went down under it, or it is the same process, gone on by exec.
func MarkRunning(path string, mine Running) (killed Running, err error) {
	err = ReadJSON(path, &killed)
	if err != nil && !errors.Is(err, fs.ErrNotExist) || killed.PID == mine.PID || killed.Boot != mine.Boot {
		killed = Running{}
	}
	return killed, WriteJSON(path, mine, false)
}
