package allot

import (
	"cmp"
	"os"

	"semper"
	"semper/unit/process"
)

// Rooms are the directories an instance may write in.
type Rooms struct {
	Scratch string
	Socket  string // where it creates the socket it listens on
}

// Make makes them, and gives them to owner; nil leaves them whose they are.
func (r Rooms) Make(owner *process.Credential) error {
	for path, mode := range map[string]os.FileMode{r.Scratch: 0o700, r.Socket: 0o711} {
		err := os.MkdirAll(path, mode)
		if err == nil && owner != nil {
			err = os.Chown(path, owner.UID, owner.GID)
		}
		if err != nil {
			return &semper.Error{Code: DiskCode(err), Op: "prepare directories", Err: err}
		}
	}
	return nil
}

// Choose is who an instance runs as: whom its service names, else the app's own user where everything
// it needs can be reached by that one, else the keeper's. Its rooms are that user's then.
func (u *Users) Choose(spec semper.InstanceSpec, tree string, rooms Rooms) (Runner, error) {
	if spec.Spec.User != "" {
		return Named(spec.Spec.User)
	}
	if os.Getuid() != 0 {
		return Runner{}, nil
	}
	uid, err := u.For(spec.App)
	if err != nil {
		return Runner{}, err
	}
	if err := rooms.Make(&process.Credential{UID: uid, GID: uid}); err != nil {
		return Runner{}, err
	}
	r := Least(uid, append(Needs(spec.Spec.Command, tree, pathOf(spec)), rooms.Scratch))
	if r.Credential == nil {
		return r, rooms.Make(&process.Credential{})
	}
	return r, nil
}

// pathOf is the PATH an instance's command is looked up in.
func pathOf(spec semper.InstanceSpec) string {
	if v := spec.Spec.Env["PATH"].Value; v != "" {
		return v
	}
	return cmp.Or(os.Getenv("PATH"), DefaultPath)
}
