package contender

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// caddyVersion is what is measured; a newer one is a new directory in the cache.
const caddyVersion = "v2.11.9"

func caddy() Contender {
	return Contender{
		Name: Caddy, find: findCaddy, version: []string{"version"}, built: caddyVersion[len("v"):],
		files: func(s Setup) map[string]string { return map[string]string{"Caddyfile": caddyText(s)} },
		args: func(s Setup) []string {
			return []string{"run", "--config", s.file("Caddyfile"), "--adapter", "caddyfile"}
		},
	}
}

// findCaddy is the program in the user's cache, where it is built once.
func findCaddy(ctx context.Context) (string, error) {
	const module = "github.com/caddyserver/caddy/v2/cmd/caddy@" + caddyVersion
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	dir := filepath.Join(cache, "semper-bench", "caddy-"+caddyVersion)
	path := filepath.Join(dir, "caddy")
	if _, err := os.Stat(path); err == nil {
		return path, nil
	}
	fmt.Fprintf(os.Stderr, "proxy: building %s into %s, once\n", module, dir)
	cmd := exec.CommandContext(ctx, "go", "install", module)
	cmd.Env = append(os.Environ(), "GOBIN="+dir, "CGO_ENABLED=0")
	if text, err := cmd.CombinedOutput(); err != nil {
		return "", &Missing{Caddy, fmt.Sprintf("GOBIN=%s go install %s ended with %v: %.300s", dir, module, err, text)}
	}
	return path, nil
}

// caddyText has no automation and no HTTP/3, which nobody else here has either.
func caddyText(s Setup) string {
	upstream, log := s.Upstream.Address, ""
	if s.Upstream.Network == "unix" {
		upstream = "unix/" + upstream
	}
	if s.AccessLog {
		log = "\n\tlog {\n\t\toutput file " + s.logFile() + "\n\t}"
	}
	host, _ := split(s.HTTP)
	return replace(`{
	admin off
	auto_https off
	persist_config off
	grace_period 1s
	servers {
		protocols h1 h2
	}
}
(app) {
	bind HOST
	reverse_proxy UPSTREAM {
		transport http {
			compression off
			keepalive 1h
			keepalive_idle_conns 512
			keepalive_idle_conns_per_host 512
		}
	}LOG
}
http://HTTP_ADDRESS {
	import app
}
https://TLS_ADDRESS {
	tls CERT CERT
	import app
}
`, "HOST", host, "UPSTREAM", upstream, "LOG", log, "HTTP_ADDRESS", s.HTTP, "TLS_ADDRESS", s.HTTPS, "CERT", s.Cert)
}

// reverse is the standard library's proxy as a program.
func reverse(path string) Contender {
	return Contender{
		Name: Reverse, find: built(Reverse, path), version: []string{"-version"},
		files: func(Setup) map[string]string { return nil },
		args: func(s Setup) []string {
			args := []string{"-http", s.HTTP, "-https", s.HTTPS, "-cert", s.Cert, "-network", s.Upstream.Network, "-upstream", s.Upstream.Address}
			if s.AccessLog {
				args = append(args, "-log", s.logFile())
			}
			return args
		},
	}
}

// semper is the edge alone, with one of its drivers.
func semper(name, path, driver string) Contender {
	return Contender{
		Name: name, version: []string{"version"},
		find: func(ctx context.Context) (string, error) {
			path, err := filepath.Abs(path)
			if err != nil {
				return "", err
			}
			help, err := exec.CommandContext(ctx, path, "edge", "run", "--help").CombinedOutput()
			if err != nil || !strings.Contains(string(help), "--routes") {
				return "", &Missing{name, fmt.Sprintf("%s has no `edge run --routes`: build one that has it (make build)", path)}
			}
			return path, nil
		},
		files: func(s Setup) map[string]string { return map[string]string{"routes.yaml": semperText(s)} },
		args: func(s Setup) []string {
			return []string{"edge", "run", "--routes", s.file("routes.yaml"), "--driver", driver}
		},
	}
}

// semperText is the file of routes: one pool for every host. Metrics and ledger are on, as they always are.
func semperText(s Setup) string {
	upstream, log := s.Upstream.Address, ""
	if s.Upstream.Network == "unix" {
		upstream = "unix:" + upstream
	}
	if s.AccessLog {
		log = "log: {access: " + s.logFile() + ", format: combined}\n"
	}
	return replace(`listeners:
  - {http: "HTTP_ADDRESS", idle_timeout: 1h}
  - {https: "TLS_ADDRESS", idle_timeout: 1h}
certificates:
  - {cert: CERT, key: CERT}
LOGpools:
  app:
    upstreams: "UPSTREAM"
    keepalive: {idle: 512, timeout: 1h}
routes:
  - {to: app}
`, "HTTP_ADDRESS", s.HTTP, "TLS_ADDRESS", s.HTTPS, "CERT", s.Cert, "LOG", log, "UPSTREAM", upstream)
}
