package generate

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// A Count is the work that was done.
type Count struct {
	Requests int64
	Bytes    int64         // of bodies, where they were counted
	Elapsed  time.Duration // as the generator says
	P99      time.Duration // of the closed loop, where the generator says it: how long the queue is
}

// Rate in requests a second.
func (c Count) Rate() float64 { return float64(c.Requests) / c.Elapsed.Seconds() }

// Wrk sends GET requests over kept connections, one thread, the next when the last is answered.
func Wrk(ctx context.Context, url string, connections int, d time.Duration) (Count, error) {
	text, err := output(ctx, "wrk", "-t", "1", "-c", strconv.Itoa(connections), "-d", seconds(d), "--latency", url)
	if err != nil {
		return Count{}, err
	}
	return parseWrk(text)
}

// WrkOf is Wrk with requests that script makes, a program in Lua.
func WrkOf(ctx context.Context, url, script string, connections int, d time.Duration) (Count, error) {
	text, err := output(ctx, "wrk", "-t", "1", "-c", strconv.Itoa(connections), "-d", seconds(d), "--latency", "-s", script, url)
	if err != nil {
		return Count{}, err
	}
	return parseWrk(text)
}

// H2load does what Wrk does over HTTP/2 and TLS, with some streams on each connection.
func H2load(ctx context.Context, url string, connections, streams int, d time.Duration) (Count, error) {
	text, err := output(ctx, "h2load", "-t", "1", "-c", strconv.Itoa(connections), "-m", strconv.Itoa(streams), "-D", seconds(d), url)
	if err != nil {
		return Count{}, err
	}
	return parseH2load(text, d)
}

func seconds(d time.Duration) string { return strconv.Itoa(int(max(d, time.Second)/time.Second)) + "s" }

func output(ctx context.Context, name string, args ...string) (string, error) {
	var problems bytes.Buffer
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Stderr = &problems
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("%s %s: %w\n%s%s", name, strings.Join(args, " "), err, out, problems.Bytes())
	}
	return string(out), nil
}

var (
	wrkTotal  = regexp.MustCompile(`(?m)^\s*([0-9]+) requests in ([0-9.]+(?:us|ms|s|m|h)),`)
	wrkP99    = regexp.MustCompile(`(?m)^\s*99%\s+([0-9.]+(?:us|ms|s|m))\s*$`)
	wrkFaults = regexp.MustCompile(`(?m)^\s*(Socket errors:.*|Non-2xx or 3xx responses:.*)$`)
)

// parseWrk reads what wrk writes. Anything that went wrong makes the figure worthless, and so is an error.
func parseWrk(text string) (Count, error) {
	if fault := wrkFaults.FindString(text); fault != "" {
		return Count{}, errors.New("wrk says: " + strings.TrimSpace(fault))
	}
	total, p99 := wrkTotal.FindStringSubmatch(text), wrkP99.FindStringSubmatch(text)
	if total == nil || p99 == nil {
		return Count{}, fmt.Errorf("wrk wrote no total or no p99: %.1000q", text)
	}
	var c Count
	var err, err2, err3 error
	c.Requests, err = strconv.ParseInt(total[1], 10, 64)
	c.Elapsed, err2 = time.ParseDuration(total[2])
	c.P99, err3 = time.ParseDuration(p99[1])
	if err := errors.Join(err, err2, err3); err != nil {
		return Count{}, fmt.Errorf("wrk wrote %q and %q: %w", total[0], p99[0], err)
	}
	if c.Requests == 0 || c.Elapsed <= 0 {
		return Count{}, errors.New("wrk got no answer")
	}
	return c, nil
}

var h2Total = regexp.MustCompile(`(?m)^requests: [0-9]+ total, [0-9]+ started, ([0-9]+) done, ([0-9]+) succeeded, ([0-9]+) failed, ([0-9]+) errored, ([0-9]+) timeout`)

// parseH2load reads what h2load writes of a run that lasted d.
func parseH2load(text string, d time.Duration) (Count, error) {
	m := h2Total.FindStringSubmatch(text)
	if m == nil {
		return Count{}, fmt.Errorf("h2load wrote no total: %.1000q", text)
	}
	var n [5]int64
	for i := range n {
		v, err := strconv.ParseInt(m[i+1], 10, 64)
		if err != nil {
			return Count{}, fmt.Errorf("h2load wrote %q: %w", m[0], err)
		}
		n[i] = v
	}
	if n[0] == 0 || n[1] != n[0] || n[2]+n[3]+n[4] != 0 {
		return Count{}, errors.New("h2load says: " + m[0])
	}
	return Count{Requests: n[0], Elapsed: d}, nil
}
