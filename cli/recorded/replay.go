package recorded

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/textproto"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"

	"semper/cli/draw"
	"semper/verify/capture"
	"semper/verify/replay"
)

// A Replay is one as flags say it.
type Replay struct {
	Comparison
	Against, Baseline, Copy string // URLs
	Speed                   string // like 2x
	Methods                 string // safe or all
	Header                  []string
	Need                    int64 // pairs before nothing speaks against the candidate
	Options                 replay.Options
}

// Parse reads what the flags say into Options. An error is one of the command line.
func (r *Replay) Parse() error {
	o := &r.Options
	if r.Against == "" {
		return errors.New("--against URL says where the candidate is: requests go to no other place")
	}
	var err error
	for _, u := range []struct {
		flag, text string
		into       **url.URL
	}{{"against", r.Against, &o.Candidate}, {"baseline", r.Baseline, &o.Baseline}, {"copy", r.Copy, &o.Copy}} {
		if u.text == "" {
			continue
		}
		if *u.into, err = url.Parse(u.text); err != nil {
			return fmt.Errorf("--%s: it is a URL like http://127.0.0.1:8081: %w", u.flag, errors.Unwrap(err))
		}
	}
	if r.Speed != "" {
		if o.Pace.Speed, err = strconv.ParseFloat(strings.TrimSuffix(r.Speed, "x"), 64); err != nil || o.Pace.Speed <= 0 {
			return fmt.Errorf("--speed %q: write how many times as fast as recorded, like 2x", r.Speed)
		}
	}
	if r.Methods != "safe" && r.Methods != "all" {
		return fmt.Errorf("--methods %q: safe or all", r.Methods)
	}
	o.Unsafe = r.Methods == "all"
	if o.Concurrency < 1 || o.Timeout <= 0 || o.Limit < 0 {
		return errors.New("--concurrency and --timeout want something above zero, and --limit zero or above")
	}
	o.Header = make(http.Header, len(r.Header))
	for _, text := range r.Header {
		name, value, ok := strings.Cut(text, ":")
		if !ok || name == "" || strings.ContainsAny(text, "\r\n") {
			return errors.New("--header: write it as 'NAME: VALUE'") // without what may be a secret
		}
		name = textproto.CanonicalMIMEHeaderKey(strings.TrimSpace(name))
		o.Header[name] = append(o.Header[name], strings.TrimSpace(value))
	}
	return o.Check()
}

// Run replays a file. What came of it until an error is told too; sent says whether there is anything.
func (r *Replay) Run(ctx context.Context, path string, now func() time.Time) (shown draw.Replayed, sent bool, err error) {
	if r.Options.Compare, err = r.Comparer(); err != nil {
		return shown, false, err
	}
	file, err := os.Open(path)
	if err != nil {
		return shown, false, err
	}
	defer file.Close() //nolint:errcheck // it was read
	recording, err := capture.NewReader(path, file, capture.Options{Responses: r.Options.Baseline == nil})
	if err != nil {
		return shown, false, err
	}
	report, err := replay.Run(ctx, recording, r.Options)
	shown = draw.Replayed{
		File: path, Against: r.Options.Candidate.Redacted(), Report: report, Verdict: report.Verdict(now(), r.Need), Stale: r.Options.Compare.Stale(),
	}
	if b := r.Options.Baseline; b != nil {
		shown.Baseline = b.Redacted()
	}
	for i := range report.Board.Places {
		shown.Statuses = append(shown.Statuses, report.Board.Status(i))
	}
	return shown, err == nil || report.Sent > 0, err
}

// Progress says where it is shown how far a replay has come.
type Progress struct {
	W    io.Writer
	Live bool // draw it anew in its place; else a line is written now and then
	Size func() (width, height int)
	Now  func() time.Time
	draw.Paint
}

// every is how often a line is written where it stays.
const every = 10 * time.Second

// Show makes o show its progress. leave is called when it is over.
func (p Progress) Show(o *replay.Options) (leave func()) {
	begun := p.Now()
	text := func(r *replay.Report) string { return draw.ReplayLine(p.Paint, r, p.Now().Sub(begun)) }
	if p.Live {
		screen := draw.Screen{W: p.W, Size: p.Size}
		o.Progress = func(r *replay.Report) { screen.Draw([]string{text(r)}) }
		return func() { screen.Draw(nil) }
	}
	next := begun.Add(every)
	o.Progress = func(r *replay.Report) {
		if now := p.Now(); !now.Before(next) {
			next = now.Add(every)
			_, _ = fmt.Fprintf(p.W, "%s  %s\n", draw.Stamp(now), text(r)) // nobody left to tell
		}
	}
	return func() {}
}
