package client

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"time"
)

// Env is the variable that names the socket.
const Env = "SEMPER_QUEUE"

// Sentinels, for errors.Is.
var (
	// ErrQuiesced: the release of this process takes no more jobs.
	ErrQuiesced = errors.New("the release takes no more jobs")
	// ErrLeaseLost: the attempt is over, and another may have the job. Nothing was changed.
	ErrLeaseLost = errors.New("the lease has ended")
	// ErrUnavailable: semper could not do it now. What was asked may have been done or not.
	ErrUnavailable = errors.New("the queue is not available now")
)

// An Error is an answer that is none of success.
type Error struct {
	Status     int
	Detail     string        // for people
	RetryAfter time.Duration // when to ask again; 0: not said
	is         error
}

func (e *Error) Error() string { return fmt.Sprintf("jobs: %d: %s", e.Status, e.Detail) }

// Unwrap is the sentinel that it is one of, if it is.
func (e *Error) Unwrap() error { return e.is }

// A Client asks. It is safe for concurrent use.
type Client struct{ http *http.Client }

// New is a client of the socket that semper has told this process.
func New() *Client { return NewAt(os.Getenv(Env)) }

// NewAt is a client of the socket at path.
func NewAt(path string) *Client {
	return &Client{http: &http.Client{Transport: &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			if path == "" {
				return nil, errors.New(Env + " is not set: semper gives it to what it runs")
			}
			var d net.Dialer
			return d.DialContext(ctx, "unix", path)
		},
		MaxIdleConnsPerHost: 64, IdleConnTimeout: 30 * time.Second, DisableCompression: true,
	}}}
}

// Close closes connections that are not in use.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// A Job is one to do now.
type Job struct {
	ID       string      `json:"id"`    // the same for each attempt
	Lease    string      `json:"lease"` // the right to end this attempt
	Attempt  int         `json:"attempt"`
	Seconds  float64     `json:"seconds"` // how long the lease holds from the claim
	Key      string      `json:"key"`
	Accepted time.Time   `json:"accepted"`
	Method   string      `json:"method"` // of the request that it was
	Target   string      `json:"target"`
	Header   http.Header `json:"header"`
	Body     []byte      `json:"-"`
}

// UnmarshalJSON reads the body in whichever form it has.
func (j *Job) UnmarshalJSON(b []byte) error {
	type plain Job
	in := struct {
		*plain
		Text  string `json:"body"`
		Bytes []byte `json:"body_base64"`
	}{plain: (*plain)(j)}
	if err := json.Unmarshal(b, &in); err != nil {
		return err
	}
	if j.Body = in.Bytes; j.Body == nil {
		j.Body = []byte(in.Text)
	}
	return nil
}

// A Result is what a job came to, for whoever asked for it. The zero Result says that it is done.
type Result struct {
	Status      int // 200 to 499; 0: 200
	ContentType string
	Body        []byte // at most 1 MiB
}

// A Failure is how an attempt ended that did not complete its job.
type Failure struct {
	Reason     string        `json:"reason"`
	RetryAfter time.Duration `json:"-"`
	Final      bool          `json:"final"` // no further attempt would help
}

// Claim asks for 1 to n jobs of this process's service, and waits for the first. None is no error.
func (c *Client) Claim(ctx context.Context, n int, wait time.Duration) ([]Job, error) {
	q := url.Values{"max": {strconv.Itoa(n)}, "wait": {strconv.Itoa(int(wait / time.Second))}}
	var out struct {
		Jobs []Job `json:"jobs"`
	}
	err := c.post(ctx, "/v1/jobs/claim?"+q.Encode(), nil, nil, &out)
	return out.Jobs, err
}

// Complete ends a job.
func (c *Client) Complete(ctx context.Context, j *Job, r Result) error {
	header := http.Header{}
	if r.ContentType != "" {
		header.Set("Content-Type", r.ContentType)
	}
	return c.post(ctx, j.path("complete")+"&status="+strconv.Itoa(cmp.Or(r.Status, http.StatusOK)), header, r.Body, nil)
}

// Fail ends an attempt.
func (c *Client) Fail(ctx context.Context, j *Job, f Failure) error {
	body, err := json.Marshal(struct {
		Failure
		After float64 `json:"retry_after"`
	}{f, f.RetryAfter.Seconds()})
	if err != nil {
		return err
	}
	return c.post(ctx, j.path("fail"), nil, body, nil)
}

// Release gives a job back as if it had not been claimed.
func (c *Client) Release(ctx context.Context, j *Job) error {
	return c.post(ctx, j.path("release"), nil, nil, nil)
}

// Extend has the lease begin anew, and gives how long it holds.
func (c *Client) Extend(ctx context.Context, j *Job) (time.Duration, error) {
	var out struct {
		Seconds float64 `json:"seconds"`
	}
	err := c.post(ctx, j.path("extend"), nil, nil, &out)
	return time.Duration(out.Seconds * float64(time.Second)), err
}

func (j *Job) path(what string) string {
	return "/v1/jobs/" + url.PathEscape(j.ID) + "/" + what + "?lease=" + url.QueryEscape(j.Lease)
}

// A Draft is a job to give to a service. The zero values of all but Body are good ones.
type Draft struct {
	Path        string // with a query, perhaps, for workers that get their jobs as requests; empty: /
	ContentType string
	Body        []byte
	// Idempotency is a key under which the same job is taken once only.
	Idempotency string
	Key         string // of its lane, where the queue has order: key
	Priority    int    // -9 to 9, higher first
	Delay       time.Duration
}

// Enqueue gives a service of the app a job and returns its id, when it is on disk. duplicate says that it was there already.
func (c *Client) Enqueue(ctx context.Context, service string, d Draft) (id string, duplicate bool, err error) {
	header := http.Header{}
	for name, value := range map[string]string{
		"Content-Type": d.ContentType, "Idempotency-Key": d.Idempotency, "Semper-Job-Key": d.Key,
	} {
		if value != "" {
			header.Set(name, value)
		}
	}
	if d.Priority != 0 {
		header.Set("Semper-Job-Priority", strconv.Itoa(d.Priority))
	}
	if d.Delay > 0 {
		header.Set("Semper-Job-Delay", strconv.FormatFloat(d.Delay.Seconds(), 'f', -1, 64))
	}
	var out struct {
		ID        string `json:"id"`
		Duplicate bool   `json:"duplicate"`
	}
	q := url.Values{"to": {service}, "path": {cmp.Or(d.Path, "/")}}
	err = c.post(ctx, "/v1/jobs?"+q.Encode(), header, d.Body, &out)
	return out.ID, out.Duplicate, err
}

// maxAnswer bounds what is read of one answer: a claim of as many jobs as there may be has bodies of a megabyte each.
const maxAnswer = 256 << 20

// post sends a request and reads its answer into out.
func (c *Client) post(ctx context.Context, target string, header http.Header, body []byte, out any) error {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://semper"+target, bytes.NewReader(body))
	if err != nil {
		return err
	}
	if header != nil {
		r.Header = header
	}
	resp, err := c.http.Do(r)
	if err != nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		return fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	defer resp.Body.Close() //nolint:errcheck // only read
	b, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	switch {
	case err != nil:
		return fmt.Errorf("%w: %w", ErrUnavailable, err)
	case resp.StatusCode >= 300:
		return failure(resp, b, target)
	case out == nil || resp.StatusCode == http.StatusNoContent:
		return nil
	}
	return json.Unmarshal(b, out)
}

// failure is what an answer says that is none of success.
func failure(resp *http.Response, body []byte, target string) error {
	e := &Error{Status: resp.StatusCode, Detail: resp.Status}
	var problem struct {
		Detail string `json:"detail"`
	}
	if json.Unmarshal(body, &problem) == nil && problem.Detail != "" {
		e.Detail = problem.Detail
	}
	if n, err := strconv.Atoi(resp.Header.Get("Retry-After")); err == nil && n >= 0 {
		e.RetryAfter = time.Duration(n) * time.Second
	}
	switch claim := len(target) > 14 && target[:14] == "/v1/jobs/claim"; {
	case e.Status == http.StatusConflict && claim:
		e.is = ErrQuiesced
	case e.Status == http.StatusConflict:
		e.is = ErrLeaseLost
	case e.Status >= 500:
		e.is = ErrUnavailable
	}
	return e
}
