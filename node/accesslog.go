package node

import (
	"log/slog"
	"os"
	"path/filepath"

	"semper/edge/accesslog"
)

// Of the access log there are four files of this size at most.
const (
	accessLogSize = 64 << 20
	accessLogKept = 3
)

// accessLog is what an edge writes to DIR/logs/access.log, as form says: "json" or "", "combined", or "off". An edge that
// cannot write there serves without: requests matter more than their log.
func accessLog(dir, form string, log *slog.Logger) accesslog.Options {
	o := accesslog.Options{Path: filepath.Join(dir, "access.log"), MaxSize: accessLogSize, Keep: accessLogKept}
	switch form {
	case "off":
		return accesslog.Options{}
	case "", "json":
	case "combined":
		o.Format = accesslog.Combined
	default:
		log.Warn("SEMPER_ACCESS_LOG is none of json, combined and off; it is json now", "value", form)
	}
	err := os.MkdirAll(dir, 0o750)
	if err == nil {
		var f *os.File
		if f, err = os.OpenFile(o.Path, os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o640); err == nil {
			err = f.Close()
		}
	}
	if err != nil {
		log.Error("there is no access log; the edge serves without", "error", err)
		return accesslog.Options{}
	}
	return o
}
