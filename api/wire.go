package api

import (
	"context"
	"errors"
	"net/http"

	"semper"
)

// wireError is a [semper.Error] as it crosses the wire, its cause folded into the message.
type wireError struct {
	Code    semper.Code `json:"code"`
	Message string      `json:"message"`
	Hint    string      `json:"hint,omitempty"`
	Op      string      `json:"op,omitempty"`
}

// errorBody is a failed answer, or the last line of a failed stream.
type errorBody struct {
	Error *wireError `json:"error"`
}

func toWire(err error) wireError {
	w := wireError{Code: codeOf(err), Message: err.Error(), Hint: semper.HintOf(err)}
	if e, ok := err.(*semper.Error); ok { //nolint:errorlint // only the outermost error's Op stands in front of the message
		w.Op = e.Op
		w.Message = (&semper.Error{Message: e.Message, Err: e.Err}).Error()
	}
	return w
}

func (w wireError) err() error {
	return &semper.Error{Code: w.Code, Op: w.Op, Message: w.Message, Hint: w.Hint}
}

// codeOf is semper.CodeOf with the two ends of a context told apart from a bug.
func codeOf(err error) semper.Code {
	if _, ok := errors.AsType[*semper.Error](err); !ok {
		switch {
		case errors.Is(err, context.DeadlineExceeded):
			return semper.Timeout
		case errors.Is(err, context.Canceled):
			return semper.Unavailable
		}
	}
	return semper.CodeOf(err)
}

// StatusOf is the one table from codes to HTTP statuses, of every API semper speaks.
func StatusOf(c semper.Code) int {
	switch c {
	case semper.Invalid:
		return http.StatusBadRequest
	case semper.NotFound:
		return http.StatusNotFound
	case semper.Conflict:
		return http.StatusConflict
	case semper.Forbidden:
		return http.StatusForbidden
	case semper.Unavailable:
		return http.StatusServiceUnavailable
	case semper.Timeout:
		return http.StatusGatewayTimeout
	case semper.Tampered:
		return http.StatusUnprocessableEntity
	case semper.NoSpace:
		return http.StatusInsufficientStorage
	}
	return http.StatusInternalServerError
}

// Bodies of the calls that change something.
type (
	changeBody struct {
		App         string             `json:"app,omitempty"`
		Environment string             `json:"environment,omitempty"`
		Release     semper.ReleaseName `json:"release,omitempty"`
		Scale       map[string]int     `json:"scale,omitempty"`
		Services    []string           `json:"services,omitempty"`
		Full        bool               `json:"full,omitempty"`
		Step        int                `json:"step,omitempty"`
		By          string             `json:"by,omitempty"`
	}
	gcBody struct {
		App    string `json:"app,omitempty"`
		Keep   int    `json:"keep"`
		DryRun bool   `json:"dry_run,omitempty"`
	}
	upgradeBody struct {
		Binary string `json:"binary,omitempty"`
	}
	secretBody struct {
		App   string `json:"app,omitempty"`
		Name  string `json:"name"`
		Value []byte `json:"value"` // base64 in JSON
		By    string `json:"by,omitempty"`
	}
	epochBody struct {
		Epoch semper.Epoch `json:"epoch"`
	}
	versionBody struct {
		Version int `json:"version"`
	}
	// waitLine is one line of a followed rollout. The last has Rollout.
	waitLine struct {
		Rollout *semper.Rollout `json:"rollout,omitempty"`
	}
)
