package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"

	"semper/bench/proxy/contender"
)

// unpinned runs a command of this repository on both cores: it shares nothing with what is measured here.
func (b *bench) unpinned(ctx context.Context, argv ...string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, "taskset", append([]string{"-c", fmt.Sprintf("%d,%d", b.mine, b.other)}, argv...)...)
	text, err := cmd.CombinedOutput()
	if err != nil {
		return nil, fmt.Errorf("%s: %w\n%s", strings.Join(argv, " "), err, text[max(0, len(text)-2000):])
	}
	return text, nil
}

// deploys lets bench/cmd/bench deploy under load through a whole server, of which the edge is a part.
func deploys(ctx context.Context, b *bench) error {
	dir := filepath.Join(b.dir, "deploys")
	args := []string{"go", "run", "semper/bench/cmd/bench", "-semper", b.semper, "-only", "deploys", "-deploys", strconv.Itoa(b.deploys), "-out", dir}
	if _, err := b.unpinned(ctx, args...); err != nil {
		return err
	}
	text, err := os.ReadFile(filepath.Join(dir, "results.json"))
	if err != nil {
		return err
	}
	failed, ratio, err := parseDeploys(text)
	if err != nil {
		return err
	}
	b.record("deploys/failed", contender.Semper, 0, failed, nil)
	b.record("deploys/p99", contender.Semper, 0, ratio, nil)
	return nil
}

// parseDeploys reads from bench's results how many requests failed, and what the p99 during deploys is of the one without.
func parseDeploys(text []byte) (failed, ratio float64, err error) {
	var results struct {
		Figures []struct {
			Claim  string `json:"claim"`
			Detail struct {
				Failed   *float64 `json:"failed"`
				Sections map[string]struct {
					P99 float64 `json:"p99_ms"`
				} `json:"sections"`
			} `json:"detail"`
		} `json:"figures"`
	}
	if err := json.Unmarshal(text, &results); err != nil {
		return 0, 0, fmt.Errorf("results of bench/cmd/bench: %w", err)
	}
	for _, f := range results.Figures {
		quiet, during := f.Detail.Sections["quiet"].P99, f.Detail.Sections["deploying"].P99
		if strings.HasPrefix(f.Claim, "failed requests in ") && f.Detail.Failed != nil && quiet > 0 && during > 0 {
			return *f.Detail.Failed, during / quiet, nil
		}
	}
	return 0, 0, errors.New("results of bench/cmd/bench: no figure of failed requests with the sections quiet and deploying")
}

// hotPath is what a Go benchmark of an ordinary request through a driver is called, in a package at or below edge; its sub-benchmarks
// are named for the drivers, epoll and goroutine.
const hotPath = "BenchmarkOrdinaryRequest"

// allocations reads what the Go benchmark of the hot path allocates.
func allocations(ctx context.Context, b *bench) error {
	text, err := b.unpinned(ctx, "go", "test", "semper/edge/...", "-run", "^$", "-bench", "^"+hotPath+"$", "-benchmem", "-benchtime", "200ms")
	if err != nil {
		return err
	}
	found := parseAllocations(string(text))
	if len(found) == 0 {
		return fmt.Errorf("no package at or below edge has %s with sub-benchmarks epoll and goroutine", hotPath)
	}
	for name, n := range found {
		b.record("allocs", name, 0, n, nil)
	}
	return nil
}

var benchmarkLine = regexp.MustCompile(`(?m)^` + hotPath + `/(epoll|goroutine)(?:-[0-9]+)?\s.*\s([0-9]+) allocs/op`)

// parseAllocations reads allocations per request by contender; of several benchmarks of a driver, the most.
func parseAllocations(text string) map[string]float64 {
	found := map[string]float64{}
	for _, m := range benchmarkLine.FindAllStringSubmatch(text, -1) {
		n, err := strconv.ParseFloat(m[2], 64)
		if err != nil {
			continue // more digits than there are
		}
		name := map[string]string{"epoll": contender.Semper, "goroutine": contender.Goroutine}[m[1]]
		found[name] = max(found[name], n)
	}
	return found
}
