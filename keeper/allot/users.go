package allot

import (
	"errors"
	"fmt"
	"hash/fnv"
	"io/fs"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"sync"

	"semper"
	"semper/keeper/journal"
	"semper/unit/process"
)

// The users given to apps that name none: the range systemd reserves for the same purpose.
const (
	FirstUID = 61184
	LastUID  = 65519
)

// Users gives every app a user of its own, for ever: what an app's instances wrote stays theirs.
// It is safe for concurrent use.
type Users struct {
	file string

	mu    sync.Mutex // guards the following
	byApp map[string]int
}

// OpenUsers reads who was given what from file, which need not exist.
func OpenUsers(file string) (*Users, error) {
	u := &Users{file: file, byApp: map[string]int{}}
	if err := journal.ReadJSON(file, &u.byApp); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("users of apps: %w", err)
	}
	return u, nil
}

// For is the app's user.
func (u *Users) For(app string) (int, error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if uid, ok := u.byApp[app]; ok {
		return uid, nil
	}
	taken := map[int]bool{}
	for _, uid := range u.byApp {
		taken[uid] = true
	}
	h := fnv.New32a()
	_, _ = h.Write([]byte(u.file + "\x00" + app)) // never fails
	size := LastUID - FirstUID + 1
	for i := range size {
		uid := FirstUID + (int(h.Sum32())%size+size+i)%size
		if _, err := user.LookupId(strconv.Itoa(uid)); err == nil || taken[uid] {
			continue
		}
		u.byApp[app] = uid
		if err := journal.WriteJSON(u.file, u.byApp, true); err != nil {
			delete(u.byApp, app)
			return 0, fmt.Errorf("users of apps: %w", err)
		}
		return uid, nil
	}
	return 0, &semper.Error{Code: semper.Unavailable, Op: "choose a user for " + app, Message: "all reserved users are given out"}
}

// A Runner is who an instance runs as. The zero value means the keeper's own user.
type Runner struct {
	Credential *process.Credential
	Warning    string
}

// Named is the user (or "user:group", or numbers) a service asks for. It is strict: what the keeper
// may not become is an error.
func Named(name string) (Runner, error) {
	const op = "choose user"
	who, group, grouped := strings.Cut(name, ":")
	cred := &process.Credential{}
	if u, err := user.Lookup(who); err == nil {
		cred.UID, cred.GID = atoi(u.Uid), atoi(u.Gid)
		ids, _ := u.GroupIds() // without them it still has its main group
		for _, id := range ids {
			cred.Groups = append(cred.Groups, atoi(id))
		}
	} else if uid, nerr := strconv.Atoi(who); nerr == nil && uid >= 0 {
		cred.UID, cred.GID = uid, uid
	} else {
		return Runner{}, &semper.Error{Code: semper.Invalid, Op: op, Err: err, Hint: "create the user, or leave user out of the service"}
	}
	if grouped {
		gid, err := lookupGroup(group)
		if err != nil {
			return Runner{}, &semper.Error{Code: semper.Invalid, Op: op, Err: err}
		}
		cred.GID = gid
	}
	if me := os.Getuid(); me != 0 && (cred.UID != me || cred.GID != os.Getgid()) {
		return Runner{}, &semper.Error{
			Code: semper.Forbidden, Op: op, Hint: "run semper as root, or leave user out of the service",
			Message: fmt.Sprintf("semper runs as uid %d and cannot become %s", me, name),
		}
	}
	if os.Getuid() != 0 {
		return Runner{}, nil
	}
	return Runner{Credential: cred}, nil
}

func lookupGroup(name string) (int, error) {
	if gid, err := strconv.Atoi(name); err == nil && gid >= 0 {
		return gid, nil
	}
	g, err := user.LookupGroup(name)
	if err != nil {
		return 0, err
	}
	return strconv.Atoi(g.Gid)
}

func atoi(s string) int {
	n, _ := strconv.Atoi(s) // from the user database, where ids are numbers
	return n
}

// Least is the app's own user if it can reach everything the instance needs, else the keeper's with
// a warning that says why.
func Least(uid int, needs []string) Runner {
	for _, path := range needs {
		if err := reach(path, uid); err != nil {
			return Runner{Warning: fmt.Sprintf("runs as %s: %v", self(), err)}
		}
	}
	return Runner{Credential: &process.Credential{UID: uid, GID: uid}}
}

func self() string {
	if os.Getuid() == 0 {
		return "root"
	}
	return "uid " + strconv.Itoa(os.Getuid())
}

// reach follows links, because the directories on both sides of one must be passable.
func reach(path string, uid int) error {
	if err := process.Reachable(path, uid, uid); err != nil {
		return err
	}
	real, err := filepath.EvalSymlinks(path)
	if err != nil || real == path {
		return err
	}
	return process.Reachable(real, uid, uid)
}

// Needs are the files an instance must reach to run argv in dir: what argv[0] resolves to and, for a
// script, its interpreter.
func Needs(argv []string, dir, path string) []string {
	needs := []string{dir}
	if len(argv) == 0 {
		return needs
	}
	exe := resolve(argv[0], dir, path)
	for range 3 { // a script's interpreter may be found by env, and be a script
		if exe == "" {
			return needs
		}
		needs = append(needs, exe)
		interpreter := shebang(exe)
		if len(interpreter) == 0 {
			return needs
		}
		exe = interpreter[0]
		if filepath.Base(exe) == "env" && len(interpreter) > 1 {
			needs = append(needs, exe)
			exe = resolve(interpreter[len(interpreter)-1], dir, path)
		}
	}
	return needs
}

// resolve is the file that name runs, "" when there is none.
func resolve(name, dir, path string) string {
	if strings.Contains(name, "/") {
		if !filepath.IsAbs(name) {
			name = filepath.Join(dir, name)
		}
		return name
	}
	for _, d := range filepath.SplitList(path) {
		if !filepath.IsAbs(d) {
			d = filepath.Join(dir, d)
		}
		full := filepath.Join(d, name)
		if found, err := exec.LookPath(full); err == nil {
			return found
		}
	}
	return ""
}

// shebang is the interpreter line of a script, in words; none for anything else.
func shebang(path string) []string {
	f, err := os.Open(path)
	if err != nil {
		return nil
	}
	defer f.Close() //nolint:errcheck // only read
	head := make([]byte, 256)
	n, _ := f.Read(head)
	line, _, _ := strings.Cut(string(head[:n]), "\n")
	rest, ok := strings.CutPrefix(line, "#!")
	if !ok {
		return nil
	}
	return strings.Fields(rest)
}
