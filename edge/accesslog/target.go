package accesslog

import (
	"io"
	"time"

	"semper"
)

// A Target is where lines go, and in which form: open, and nothing written to it yet. It belongs to one goroutine, and from
// [Log.To] to the log.
type Target struct {
	sink   *sink
	format *formatter
	flush  time.Duration
}

// OpenTarget opens what o names. Of o, the rules, OmitQuery and Records are a log's for its whole life and not looked at.
func OpenTarget(o Options) (*Target, error) {
	if (o.Path == "") == (o.Writer == nil) {
		return nil, &semper.Error{Code: semper.Invalid, Op: "open access log", Message: "want either a path or a writer"}
	}
	if o.Keep <= 0 {
		o.Keep = defaultKeep
	}
	if o.Flush <= 0 {
		o.Flush = defaultFlush
	}
	s := &sink{path: o.Path, to: o.Writer, failed: o.Failed, limit: o.MaxSize, keep: o.Keep}
	if o.Path != "" {
		if err := s.open(); err != nil {
			return nil, err
		}
	}
	return &Target{sink: s, format: newFormatter(o.Format), flush: o.Flush}, nil
}

// Nowhere is the target of a log that is switched off: lines go nowhere.
func Nowhere() *Target {
	return &Target{sink: &sink{to: io.Discard}, format: newFormatter(Combined), flush: defaultFlush}
}

// Close gives the target back. A nil Target has nothing to give.
func (t *Target) Close() error {
	if t == nil {
		return nil
	}
	return t.sink.close()
}
