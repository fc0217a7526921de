package allot

import (
	"cmp"
	"errors"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"semper"
)

// A Grant is what one instance has been given.
type Grant struct {
	Spec    semper.InstanceSpec
	Port    int    // 0: none
	Socket  string // "": none
	Scratch string
	Notify  string // path of the sd_notify socket
	Tree    string // path of the socket for the tree of the program
	Jobs    string // path of the socket where jobs are asked for and given
	// Secrets are the values of the spec's secret references, by variable.
	Secrets map[string]string
	// Path and Lang are the keeper's own PATH and LANG.
	Path, Lang string
}

// DefaultPath is the PATH of an instance whose keeper has none.
const DefaultPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

// Environ is the whole environment of the instance, without its incarnation's mark. Later entries
// win; the service's own come last.
func (g Grant) Environ() []string {
	s := g.Spec
	env := []string{
		"PATH=" + cmp.Or(g.Path, DefaultPath),
		"LANG=" + cmp.Or(g.Lang, "C.UTF-8"),
		"HOME=" + g.Scratch,
		"TMPDIR=" + g.Scratch,
		"SEMPER_APP=" + s.App,
		"SEMPER_ENVIRONMENT=" + s.Environment,
		"SEMPER_SERVICE=" + s.Service,
		"SEMPER_RELEASE=" + string(s.Release),
		"SEMPER_INSTANCE=" + string(s.ID),
		"SEMPER_SCRATCH=" + g.Scratch,
		"NOTIFY_SOCKET=" + g.Notify,
		"SEMPER_TREE=" + g.Tree,
		"SEMPER_QUEUE=" + g.Jobs,
	}
	if g.Port != 0 {
		env = append(env, "PORT="+strconv.Itoa(g.Port))
	}
	if g.Socket != "" {
		env = append(env, "SOCKET="+g.Socket)
	}
	own := map[string]string{}
	for name, v := range s.Spec.Env {
		if v.Secret == "" {
			own[name] = v.Value
		} else {
			own[name] = g.Secrets[name]
		}
	}
	env = slices.DeleteFunc(env, func(e string) bool {
		name, _, _ := strings.Cut(e, "=")
		_, replaced := own[name]
		return replaced
	})
	for _, name := range slices.Sorted(maps.Keys(own)) {
		env = append(env, name+"="+own[name])
	}
	return env
}

// PartEnviron is the environment of one of semper's own processes, made from the keeper's. Its garbage
// collector is told how much memory it may use, because all of semper should fit beside the services of
// a small machine; a person's own settings win.
func PartEnviron(kind, notify, tree string, own []string) []string {
	set := map[string]string{
		// Live heaps are small, a few MB; each collection they are spared is one no request waits beside. Control had three
		// in each deploy with half the heap to spare, and they were a third of its work. The store's were a sixth of what it did
		// for jobs, at the cost of those that waited for it.
		"GOGC":       map[string]string{"store": "200", "control": "300", "queue": "200", "edge": "400"}[kind],
		"GOMEMLIMIT": map[string]string{"store": "160MiB", "control": "64MiB", "queue": "256MiB", "edge": "512MiB"}[kind],
	}
	// These speak of the keeper itself.
	drop := []string{
		"NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID", "LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES",
		"SEMPER_LISTENERS", "SEMPER_KEEPER_KEPT", "SEMPER_TREE",
	}
	var env []string
	for _, v := range own {
		name, _, _ := strings.Cut(v, "=")
		delete(set, name)
		if !slices.Contains(drop, name) {
			env = append(env, v)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(set)) {
		env = append(env, name+"="+set[name])
	}
	return append(env, "NOTIFY_SOCKET="+notify, "SEMPER_TREE="+tree)
}

// ReadSecrets reads the values of the spec's secret references ("name@version") from below dir, by
// variable. Errors never contain a value.
func ReadSecrets(dir, app string, env map[string]semper.EnvVar) (map[string]string, error) {
	values := map[string]string{}
	for variable, v := range env {
		if v.Secret == "" {
			continue
		}
		name, version, ok := strings.Cut(v.Secret, "@")
		if !ok || !plain(app) || !plain(name) || !plain(version) {
			return nil, &semper.Error{
				Code: semper.Invalid, Op: "read secret for " + variable,
				Message: strconv.Quote(v.Secret) + " is not name@version",
			}
		}
		b, err := os.ReadFile(filepath.Join(dir, app, name, version))
		if errors.Is(err, fs.ErrNotExist) {
			return nil, &semper.Error{
				Code: semper.Invalid, Op: "read secret for " + variable,
				Message: "secret " + name + " has no version " + version, Hint: "set it: semper secret set " + name,
			}
		}
		if err != nil {
			return nil, &semper.Error{Code: semper.Internal, Op: "read secret for " + variable, Err: err}
		}
		values[variable] = string(b)
	}
	return values, nil
}

// plain tells whether s is one path element and nothing else.
func plain(s string) bool {
	return s != "" && s != "." && s != ".." && !strings.ContainsAny(s, "/\x00")
}
