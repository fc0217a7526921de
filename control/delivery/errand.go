package delivery

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"

	"semper/pipeline"
	"semper/pipeline/junit"
)

// An Errand is a question of a gate that takes time. Its answer goes to [Desk.Answered].
type Errand struct {
	Key string
	Do  func(ctx context.Context) pipeline.Answer
}

// Open opens a regular file below a directory that somebody else writes to, and does not wait.
type Open func(dir, path string) (io.ReadCloser, error)

// Errands are the questions that the last [Desk.Promote] wants an answer to and has none yet.
func (d *Desk) Errands(client *http.Client, open Open) (out []Errand) {
	for _, cmd := range d.Commands {
		var e Errand
		switch q := cmd.(type) {
		case pipeline.Ask:
			e = Errand{q.Key, func(ctx context.Context) pipeline.Answer { return Poll(ctx, client, q) }}
		case pipeline.Read:
			e = Errand{q.Key, func(context.Context) pipeline.Answer { return read(open, q) }}
		default:
			continue
		}
		if _, answered := d.answers[e.Key]; !answered {
			out = append(out, e)
		}
	}
	return out
}

// read is what a report says. It takes no longer than the disk: what is read is a bounded regular file.
func read(open Open, q pipeline.Read) pipeline.Answer {
	f, err := open(q.Dir, q.Path)
	if errors.Is(err, fs.ErrNotExist) {
		return pipeline.Answer{What: fmt.Sprintf("the command left no %s in $SEMPER_SCRATCH", q.Path)}
	}
	if err != nil {
		return pipeline.Answer{What: fmt.Sprintf("its report %s cannot be read: %v", q.Path, err)}
	}
	defer f.Close() //nolint:errcheck // only read
	r, err := junit.Read(f)
	if err != nil {
		return pipeline.Answer{What: fmt.Sprintf("its report %s cannot be read: %v", q.Path, err)}
	}
	return pipeline.Answer{Good: r.Passed(), What: r.String()}
}
