package api

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"os/user"
	"slices"
	"strconv"
	"strings"

	"semper"
)

// A Role says what a caller may do.
type Role string

// The roles, from the least to the most.
const (
	Viewer   Role = "viewer"   // look
	Deployer Role = "deployer" // and move releases, and say yes where a gate asks him
	Admin    Role = "admin"    // and change gates, leave them out, upgrade semper, and say who may what
)

// Roles are all of them, the least first.
var Roles = []Role{Viewer, Deployer, Admin}

// Includes reports whether who has role r may do what least may.
func (r Role) Includes(least Role) bool {
	return slices.Contains(Roles, r) && slices.Index(Roles, r) >= slices.Index(Roles, least)
}

// A Caller is who gives a command, as the connection proves it. The zero value is nobody, who may nothing.
type Caller struct {
	Name   string   `json:"name"`
	Role   Role     `json:"role"`
	Groups []string `json:"groups,omitempty"`
}

// Among reports whether one of names is the caller's, one of his groups' or his role: whether he is one of those that a gate asks.
func (c Caller) Among(names []string) bool {
	return slices.Contains(names, c.Name) || slices.Contains(names, string(c.Role)) ||
		slices.ContainsFunc(c.Groups, func(g string) bool { return slices.Contains(names, g) })
}

type callerKey struct{}

// WithCaller is ctx of a call of c.
func WithCaller(ctx context.Context, c Caller) context.Context {
	return context.WithValue(ctx, callerKey{}, func() Caller { return c })
}

// CallerOf is who the call of ctx is of.
func CallerOf(ctx context.Context) Caller {
	if f, ok := ctx.Value(callerKey{}).(func() Caller); ok {
		return f()
	}
	return Caller{}
}

// local is the caller at the other end of the unix socket: root, or the user the server runs as. Who can reach the socket can read all that
// the server has; so it is an admin. His name and groups are asked for only where somebody looks.
func local(uid int) func() Caller {
	return func() Caller {
		c := Caller{Name: "uid " + strconv.Itoa(uid), Role: Admin}
		u, err := user.LookupId(strconv.Itoa(uid))
		if err != nil {
			return c
		}
		c.Name = u.Username
		ids, err := u.GroupIds()
		if err != nil {
			return c
		}
		for _, id := range ids {
			if g, err := user.LookupGroupId(id); err == nil {
				c.Groups = append(c.Groups, g.Name)
			}
		}
		return c
	}
}

// TokenDigest is what is stored of a token. A token has 128 bits of chance or more, so that nobody finds one by trying.
func TokenDigest(token string) string {
	sum := sha256.Sum256([]byte("semper token 1 " + token))
	return hex.EncodeToString(sum[:])
}

// SessionDigest is what is stored of the session that a browser gets for a token.
func SessionDigest(token string) string { return TokenDigest(session(token)) }

// least is the role that a request takes.
func least(r *http.Request) Role {
	switch {
	case r.Method == http.MethodGet || r.Method == http.MethodHead:
		return Viewer
	case strings.HasPrefix(r.URL.Path, "/v1/runs/") || strings.HasPrefix(r.URL.Path, "/v1/pipelines/keys/"):
		return Viewer // who decides about them keeps a record of whom it refuses
	case r.URL.Path == "/v1/upgrade" || strings.HasPrefix(r.URL.Path, "/v1/users"):
		return Admin
	}
	return Deployer
}

// mayNot is the refusal of a caller without the role.
func mayNot(c Caller, least Role) error {
	return &semper.Error{Code: semper.Forbidden, Message: c.Name + " is a " + string(c.Role) + ", and this takes a " + string(least), Hint: "an admin may change that: semper user add"}
}
