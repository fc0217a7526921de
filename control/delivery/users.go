package delivery

import (
	"crypto/rand"
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"sync"

	"semper"
	"semper/api"
)

// account is a user as stored: of the token only digests.
type account struct {
	api.User
	Token   string `json:"token"`
	Session string `json:"session"`
}

var userName = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[a-z0-9][a-z0-9._@-]{0,63}$`) })

// User is who has a token or session of that digest.
func (v *View) User(digest string) (api.Caller, bool) {
	u, ok := v.tokens[digest]
	return u, ok
}

// Users are all of them, by name.
func (v *View) Users() []api.User { return v.users }

// tokens are all users by the digests of what they may show.
func (d *Desk) tokens() map[string]api.Caller {
	out := make(map[string]api.Caller, 2*len(d.users))
	for _, u := range d.users {
		out[u.value.Token], out[u.value.Session] = u.value.Caller, u.value.Caller
	}
	return out
}

func (d *Desk) userList() []api.User {
	out := make([]api.User, 0, len(d.users))
	for _, name := range slices.Sorted(maps.Keys(d.users)) {
		out = append(out, d.users[name].value.User)
	}
	return out
}

// AddUser gives somebody a token, in place of one that he has.
func (d *Desk) AddUser(o Office, c *Change, u api.User, by api.Caller) (token string, err error) {
	for _, n := range append([]string{u.Name}, u.Groups...) {
		if !userName().MatchString(n) || slices.Contains(api.Roles, api.Role(n)) || n == "token" {
			return "", &semper.Error{Code: semper.Invalid, Op: "user add", Message: fmt.Sprintf("%q is not a name for a user or group", n), Hint: "lower-case letters, digits and . _ @ -, at most 64, and not that of a role"}
		}
	}
	if !slices.Contains(api.Roles, u.Role) {
		return "", &semper.Error{Code: semper.Invalid, Op: "user add", Message: fmt.Sprintf("%q is no role", u.Role), Hint: "viewer, deployer or admin"}
	}
	token = "smp_" + rand.Text() + rand.Text()
	verb := "added"
	if d.users[u.Name].version != 0 {
		verb = "given another token"
	}
	u.AddedAt, u.AddedBy = o.Now(), orNobody(by.Name)
	return token, d.setUser(o, c, "user add", u.Name, &account{u, api.TokenDigest(token), api.SessionDigest(token)}, by, fmt.Sprintf("%s is %s: %s %v", u.Name, verb, u.Role, u.Groups))
}

// RemoveUser takes somebody his token.
func (d *Desk) RemoveUser(o Office, c *Change, name string, by api.Caller) error {
	if d.users[name].version == 0 {
		return &semper.Error{Code: semper.NotFound, Op: "user remove", Message: fmt.Sprintf("no user %q", name), Hint: "semper user list"}
	}
	return d.setUser(o, c, "user remove", name, nil, by, name+" is removed")
}

// setUser changes or, by nil, removes a user.
func (d *Desk) setUser(o Office, c *Change, op, name string, next *account, by api.Caller, message string) error {
	if !by.Role.Includes(api.Admin) {
		return &semper.Error{Code: semper.Forbidden, Op: op, Message: orNobody(by.Name) + " is no admin"}
	}
	o.Tell(semper.Event{At: o.Now(), Kind: "user.changed", By: orNobody(by.Name), Message: message})
	w := semper.Write{Key: preUser + name, Delete: next == nil}
	if next != nil {
		var err error
		if w.Value, err = json.Marshal(next); err != nil {
			return err
		}
	}
	c.also(semper.Condition{Key: w.Key, Version: d.users[name].version}, w, func(rev int64) {
		if delete(d.users, name); next != nil {
			d.users[name] = stored[account]{*next, rev}
		}
	})
	return nil
}
