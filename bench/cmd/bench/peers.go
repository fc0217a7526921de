package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"syscall"
	"text/template"
	"time"

	"semper/bench/load"
	"semper/bench/rig"
)

// A peer is another proxy, configured for the same job: the same app three times behind it.
type peer struct {
	name    string
	args    func(dir, config string) []string
	config  string
	version []string
}

var nginx = peer{
	name:    "nginx",
	args:    func(dir, config string) []string { return []string{"-p", dir, "-c", config, "-e", "stderr"} },
	version: []string{"-v"},
	config: `daemon off; worker_processes auto; pid nginx.pid; error_log stderr warn;
events { worker_connections 4096; }
http {
  access_log off;
  client_body_temp_path tmp; proxy_temp_path tmp; fastcgi_temp_path tmp; uwsgi_temp_path tmp; scgi_temp_path tmp;
  keepalive_requests 1000000;
  upstream app { least_conn; keepalive 256; {{range .Backends}}server {{.}}; {{end}} }
  server {
    listen {{.Listen}} reuseport;
    location / {
      proxy_pass http://app; proxy_http_version 1.1; proxy_set_header Connection ""; proxy_set_header Host $host;
      proxy_set_header X-Forwarded-For $remote_addr;
    }
  }
}
`,
}

var haproxy = peer{
	name:    "haproxy",
	args:    func(_, config string) []string { return []string{"-db", "-f", config} },
	version: []string{"-v"},
	config: `global
  maxconn 4096
defaults
  mode http
  timeout connect 5s
  timeout client 75s
  timeout server 75s
  option http-keep-alive
  option forwardfor
frontend in
  bind {{.Listen}}
  default_backend app
backend app
  balance leastconn
  http-reuse always
{{range $i, $b := .Backends}}  server s{{$i}} {{$b}}
{{end}}`,
}

// peers puts the same load through nginx, haproxy and semper's edge, in front of the same app. One
// line is at full speed (the machine is saturated), one at a pace that leaves it idle at times.
func peers(ctx context.Context, b *bench) ([]figure, error) {
	backends, stop, err := standalone(b.apps["A"], 3)
	if err != nil {
		return nil, err
	}
	defer stop()
	var all []figure
	for _, p := range []peer{nginx, haproxy} {
		f, err := b.peer(ctx, p, backends)
		if err != nil {
			return all, fmt.Errorf("%s: %w", p.name, err)
		}
		all = append(all, f...)
	}
	f, err := b.pace(ctx, "semper edge", b.server.HTTP)
	return append(all, f...), err
}

func (b *bench) peer(ctx context.Context, p peer, backends []string) ([]figure, error) {
	path, err := find(ctx, p.name)
	if err != nil {
		return nil, err
	}
	version, err := exec.CommandContext(ctx, path, p.version...).CombinedOutput()
	if err != nil {
		return nil, err
	}
	words := p.name + " " + numbers.FindString(string(version))
	address, err := rig.FreeAddress()
	if err != nil {
		return nil, err
	}
	dir := filepath.Join(b.dir, p.name)
	if err := os.MkdirAll(filepath.Join(dir, "tmp"), 0o755); err != nil {
		return nil, err
	}
	var config bytes.Buffer
	t, err := template.New(p.name).Parse(p.config)
	if err != nil {
		return nil, err
	}
	if err := t.Execute(&config, map[string]any{"Listen": address, "Backends": backends}); err != nil {
		return nil, err
	}
	file := filepath.Join(dir, "config")
	if err := os.WriteFile(file, config.Bytes(), 0o644); err != nil {
		return nil, err
	}
	stop, err := serve(exec.Command(path, p.args(dir, file)...), address)
	if err != nil {
		return nil, err
	}
	defer stop()
	return b.pace(ctx, words, address)
}

// pace measures a proxy at full speed and at a pace that leaves the machine idle at times.
func (b *bench) pace(ctx context.Context, name, address string) ([]figure, error) {
	const each, paced = 10 * time.Second, 10 * time.Millisecond
	var all []figure
	for _, think := range []time.Duration{0, paced} {
		g := load.Start(ctx, load.Config{Address: address, KeepAlive: 64, Think: think, Fresh: 20})
		if err := rest(ctx, 2*time.Second); err != nil {
			g.Stop()
			return all, err
		}
		g.Enter("measured")
		err := rest(ctx, each)
		r := g.Stop()
		if err != nil {
			return all, err
		}
		s := r.Sections["measured"]
		how := "at full speed"
		if think > 0 {
			how = fmt.Sprintf("with %v between requests", think)
		}
		all = append(all, figure{Claim: fmt.Sprintf("side by side, %s: %s", how, name), Target: "–",
			Measured: fmt.Sprintf("%.0f/s, p50 %.2f ms, p99 %.2f ms; %d failed", s.Rate, s.P50, s.P99, r.Failed),
			Command:  "make bench ARGS='-peers -only peers'", Detail: s})
	}
	return all, nil
}

// standalone runs n copies of the app by themselves.
func standalone(dir string, n int) (addresses []string, stop func(), err error) {
	var stops []func()
	stop = func() {
		for _, s := range stops {
			s()
		}
	}
	for range n {
		address, err := rig.FreeAddress()
		if err != nil {
			stop()
			return nil, nil, err
		}
		_, port, _ := net.SplitHostPort(address)
		cmd := exec.Command("./app")
		cmd.Dir = dir
		cmd.Env = []string{"PORT=" + port, "SEMPER_RELEASE=r0"}
		s, err := serve(cmd, address)
		if err != nil {
			stop()
			return nil, nil, err
		}
		stops = append(stops, s)
		addresses = append(addresses, address)
	}
	return addresses, stop, nil
}

// serve starts cmd and waits until something accepts at address.
func serve(cmd *exec.Cmd, address string) (stop func(), err error) {
	var talk bytes.Buffer
	cmd.Stdout, cmd.Stderr = &talk, &talk
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	ended := make(chan struct{})
	go func() { _ = cmd.Wait(); close(ended) }()
	stop = func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		t := time.AfterFunc(10*time.Second, func() { _ = cmd.Process.Kill() })
		<-ended
		t.Stop()
	}
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.After(10 * time.Second); ; {
		c, err := net.Dial("tcp", address)
		if err == nil {
			c.Close()
			return stop, nil
		}
		select {
		case <-tick.C:
		case <-ended:
			return nil, fmt.Errorf("%s ended: %s", cmd.Path, talk.Bytes())
		case <-deadline:
			stop()
			return nil, fmt.Errorf("%s does not listen on %s: %s", cmd.Path, address, talk.Bytes())
		}
	}
}

// numbers of a version.
var numbers = regexp.MustCompile(`[0-9]+(\.[0-9]+)+`)

// noStart is what keeps Debian's package scripts from starting what they install.
const noStart = "/usr/sbin/policy-rc.d"

// find is the path of a program, which is installed first when it is missing and this is root on Debian.
func find(ctx context.Context, name string) (string, error) {
	candidates := []string{name, "/usr/sbin/" + name}
	for _, c := range candidates {
		if path, err := exec.LookPath(c); err == nil {
			return path, nil
		}
	}
	if os.Geteuid() != 0 {
		return "", errors.New("not installed, and this is not root to install it")
	}
	if _, err := os.Stat(noStart); errors.Is(err, os.ErrNotExist) {
		if err := os.WriteFile(noStart, []byte("#!/bin/sh\nexit 101\n"), 0o755); err != nil {
			return "", err
		}
		defer os.Remove(noStart)
	}
	cmd := exec.CommandContext(ctx, "apt-get", "install", "-q", "-y", "--no-install-recommends", name)
	cmd.Env = append(os.Environ(), "DEBIAN_FRONTEND=noninteractive")
	if text, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("apt-get install: %w\n%s", err, text)
	}
	return exec.LookPath("/usr/sbin/" + name)
}
