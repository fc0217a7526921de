package allot

import (
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"

	"semper"
)

// instanceIDs are the ids the keeper takes: they become file names. An @ is before the environment: "shop@beta/web.r1.1".
var instanceIDs = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._@-]*/[A-Za-z0-9][A-Za-z0-9._-]*$`)
})

// Check tells what is wrong with a spec that a keeper was asked to run.
func Check(spec semper.InstanceSpec) error {
	problem := ""
	switch {
	case !instanceIDs().MatchString(string(spec.ID)):
		problem = fmt.Sprintf("%q is not an instance id", spec.ID)
	case spec.App == "" || spec.Environment == "" || spec.Service == "" || spec.Release == "":
		problem = "app, environment, service and release are needed"
	case !spec.Artifact.Valid():
		problem = fmt.Sprintf("%q is not a digest", spec.Artifact)
	case len(spec.Spec.Command) == 0:
		problem = "the service has no command"
	case unix.SignalNum(spec.Spec.Stop.Signal) == 0:
		problem = fmt.Sprintf("%q is not a signal", spec.Spec.Stop.Signal)
	}
	if problem == "" {
		return nil
	}
	return &semper.Error{Code: semper.Invalid, Op: "start " + string(spec.ID), Message: problem}
}

// Equal compares specs as they are written down.
func Equal(a, b semper.InstanceSpec) bool {
	x, err := json.Marshal(a)
	y, err2 := json.Marshal(b)
	return err == nil && err2 == nil && string(x) == string(y)
}

// DiskCode is the code of an error of writing a file.
func DiskCode(err error) semper.Code {
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) {
		return semper.NoSpace
	}
	return semper.Internal
}
