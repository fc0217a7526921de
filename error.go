package semper

import (
	"errors"
	"strings"
)

// Code classifies an error for whoever has to act on it. The CLI turns it into an exit code, the
// API into a status.
type Code string

// The codes.
const (
	Internal    Code = "internal"
	Invalid     Code = "invalid"     // the caller's input is wrong
	NotFound    Code = "not-found"   // the thing named does not exist
	Conflict    Code = "conflict"    // another rollout holds the environment, or the plan is stale
	Forbidden   Code = "forbidden"   // authentication or permission
	Unavailable Code = "unavailable" // the store, the keeper or the control process is away; nothing was changed
	Timeout     Code = "timeout"
	Tampered    Code = "tampered" // bytes do not have the digest they are named by
	NoSpace     Code = "no-space"
)

// Error is what happened (Message), during what (Op), why (Err) and what to do next (Hint).
type Error struct {
	Code    Code   `json:"code"`
	Op      string `json:"op,omitempty"`
	Message string `json:"message"`
	Hint    string `json:"hint,omitempty"`
	Err     error  `json:"-"`
}

func (e *Error) Error() string {
	var parts []string
	if e.Op != "" {
		parts = append(parts, e.Op)
	}
	if e.Message != "" {
		parts = append(parts, e.Message)
	}
	if e.Err != nil {
		parts = append(parts, e.Err.Error())
	}
	return strings.Join(parts, ": ")
}

// Unwrap is the cause.
func (e *Error) Unwrap() error { return e.Err }

// CodeOf is the code of the first [Error] in err's chain, Internal when there is none, "" for nil.
func CodeOf(err error) Code {
	if err == nil {
		return ""
	}
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Code
	}
	return Internal
}

// HintOf is the first hint in err's chain.
func HintOf(err error) string {
	for err != nil {
		e, ok := errors.AsType[*Error](err)
		if !ok {
			return ""
		}
		if e.Hint != "" {
			return e.Hint
		}
		err = e.Err
	}
	return ""
}
