package contender

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"

	"semper/bench/proxy/proc"
	"semper/bench/rig"
)

// A Contender is one proxy program. The zero value is of no use; see All.
type Contender struct {
	Name    string
	find    func(context.Context) (string, error) // its program
	version []string                              // arguments that make it tell
	built   string                                // the version, of one that does not know it because it was built here
	files   func(Setup) map[string]string         // what it reads, by name in Setup.Dir
	args    func(Setup) []string
	Path    string // set by Find
	Version string // set by Find
}

// Setup is the work for one running contender.
type Setup struct {
	Dir       string // its own, for configuration and logs; absolute
	HTTP      string // address it listens on
	HTTPS     string
	Upstream  Upstream
	Cert      string // file: certificate and key, both PEM
	AccessLog bool
	Room      Room
}

// Room is how many connections a contender is set up for, where it wants to be told.
type Room struct {
	Clients   int // from clients
	Instances int // to the instance
}

// descriptors of a process that has so many connections, its listeners and files besides.
func (r Room) descriptors() int { return r.Clients + r.Instances + 200 }

// Upstream is where the instance listens.
type Upstream struct {
	Network string // "tcp" or "unix"
	Address string // host:port or a path
}

// logFile is where every contender writes its access log.
func (s Setup) logFile() string { return filepath.Join(s.Dir, "access.log") }

// file is one of the files of the contender's own.
func (s Setup) file(name string) string { return filepath.Join(s.Dir, name) }

// Missing is a program that is not here. Measurements go on without it.
type Missing struct {
	Name string
	How  string // to get it
}

func (m *Missing) Error() string { return fmt.Sprintf("%s is not here: %s", m.Name, m.How) }

// Programs are the paths of what is built from this repository.
type Programs struct {
	Semper  string
	Reverse string // bench/proxy/reverse
}

// Semper is the name of semper's contender with the epoll driver, which the claims are about, and Goroutine of the other.
const (
	Semper    = "semper"
	Goroutine = "semper-goroutine"
	Nginx     = "nginx"
	HAProxy   = "haproxy"
	Caddy     = "caddy"
	Reverse   = "reverseproxy"
)

// All contenders, semper's first.
func All(p Programs) []Contender {
	return []Contender{
		semper(Semper, p.Semper, "epoll"), semper(Goroutine, p.Semper, "goroutine"), nginx(), haproxy(), caddy(), reverse(p.Reverse),
	}
}

// numbers of a version.
var numbers = regexp.MustCompile(`[0-9]+(\.[0-9]+)+[-+.0-9a-z]*`)

// Find looks for the program and asks for its version. The error is a *Missing where going on without it makes sense.
func (c *Contender) Find(ctx context.Context) error {
	path, err := c.find(ctx)
	if err != nil {
		return err
	}
	text, err := exec.CommandContext(ctx, path, c.version...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s %s: %w\n%s", path, strings.Join(c.version, " "), err, text)
	}
	c.Path, c.Version = path, numbers.FindString(string(text))
	if c.built != "" {
		c.Version = c.built
	}
	return nil
}

// look finds a program that Debian packages.
func look(name, deb string) func(context.Context) (string, error) {
	return func(context.Context) (string, error) {
		for _, candidate := range []string{name, "/usr/sbin/" + name} {
			if path, err := exec.LookPath(candidate); err == nil {
				return path, nil
			}
		}
		return "", &Missing{name, "apt-get install " + deb}
	}
}

// built takes a program that was built before.
func built(name, path string) func(context.Context) (string, error) {
	return func(context.Context) (string, error) {
		if _, err := os.Stat(path); err != nil {
			return "", &Missing{name, "build it: " + err.Error()}
		}
		return path, nil
	}
}

// A Running contender serves until Stop.
type Running struct {
	*proc.Process
	Name  string
	Setup Setup
}

// Start runs c on a core, with addresses of its own, and waits until it listens on both. s.HTTP and s.HTTPS are chosen here.
func (c *Contender) Start(ctx context.Context, core int, s Setup) (*Running, error) {
	var err, err2 error
	s.HTTP, err = rig.FreeAddress()
	s.HTTPS, err2 = rig.FreeAddress()
	if err := errors.Join(err, err2, os.MkdirAll(s.file("tmp"), 0o755)); err != nil {
		return nil, err
	}
	for name, text := range c.files(s) {
		if err := os.WriteFile(s.file(name), []byte(text), 0o644); err != nil {
			return nil, err
		}
	}
	env := []string{"HOME=" + s.Dir, "XDG_DATA_HOME=" + s.Dir, "XDG_CONFIG_HOME=" + s.Dir} // Caddy keeps things there
	p, err := proc.Start(core, s.file("output"), env, append([]string{c.Path}, c.args(s)...)...)
	if err != nil {
		return nil, err
	}
	if err := p.Ready(ctx, s.HTTP, s.HTTPS); err != nil {
		p.Stop()
		return nil, fmt.Errorf("%s: %w", c.Name, err)
	}
	return &Running{Process: p, Name: c.Name, Setup: s}, nil
}
