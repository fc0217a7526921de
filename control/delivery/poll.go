package delivery

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"time"

	"semper/internal/pause"
	"semper/pipeline"
)

// pollEvery is how often a gate's URL is asked, and pollOnce how long one answer may take.
const (
	pollEvery = time.Second
	pollOnce  = 10 * time.Second
)

// Poll asks until the answer is as expected or the time is over. It follows no redirect: the answer to expect is that of the URL.
func Poll(ctx context.Context, client *http.Client, q pipeline.Ask) pipeline.Answer {
	ctx, cancel := context.WithDeadline(ctx, q.Until)
	defer cancel()
	last := ""
	for {
		good, what := pollNow(ctx, client, q)
		if good {
			return pipeline.Answer{Good: true, What: what}
		}
		if ctx.Err() == nil || last == "" {
			last = what // what the end of the time did to an answer says nothing of it
		}
		if !pause.For(ctx, pollEvery) {
			return pipeline.Answer{What: fmt.Sprintf("not %d in time; at last: %s", q.Expect, last)}
		}
	}
}

func pollNow(ctx context.Context, client *http.Client, q pipeline.Ask) (good bool, what string) {
	ctx, cancel := context.WithTimeout(ctx, pollOnce)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, q.URL, nil)
	if err != nil {
		return false, err.Error()
	}
	req.Header.Set("User-Agent", "semper-gate")
	res, err := client.Do(req)
	if err != nil {
		return false, err.Error()
	}
	defer res.Body.Close()                                      //nolint:errcheck // only read
	_, _ = io.Copy(io.Discard, io.LimitReader(res.Body, 1<<20)) // for the connection's sake; a larger body costs it
	return res.StatusCode == q.Expect, fmt.Sprintf("%s answered %s", q.URL, res.Status)
}
