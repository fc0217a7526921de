package api

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"

	"golang.org/x/sys/unix"

	"semper"
)

// cookieName holds the session of a browser: not the token, only proof of having had it.
const cookieName = "semper_session"

type peerKey struct{}

// ConnContext remembers who is at the other end of a unix socket. Set it as http.Server.ConnContext.
func ConnContext(ctx context.Context, c net.Conn) context.Context {
	u, ok := c.(*net.UnixConn)
	if !ok {
		return ctx
	}
	raw, err := u.SyscallConn()
	if err != nil {
		return ctx
	}
	var cred *unix.Ucred
	if err := raw.Control(func(fd uintptr) {
		cred, err = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED)
	}); err != nil || cred == nil {
		return ctx
	}
	return context.WithValue(ctx, peerKey{}, int(cred.Uid))
}

// peerUID is the user at the other end of a unix socket, where it is known.
func peerUID(r *http.Request) (int, bool) {
	uid, ok := r.Context().Value(peerKey{}).(int)
	return uid, ok
}

// by says who asks, for the record. Over the socket it is whoever the command says; a user of TCP is who his token says.
func by(r *http.Request, given string) string {
	if c := CallerOf(r.Context()); !overUnix(r) && c.Name != "" && c.Name != "token" {
		return c.Name
	}
	if given != "" {
		return given
	}
	if uid, ok := peerUID(r); ok {
		return fmt.Sprintf("uid %d", uid)
	}
	return "api"
}

func overUnix(r *http.Request) bool {
	a, ok := r.Context().Value(http.LocalAddrContextKey).(net.Addr)
	return ok && a.Network() == "unix"
}

// authorized lets through who may, and answers the others with refuse and the reason.
func (v *server) authorized(next http.Handler, refuse func(http.ResponseWriter, *http.Request, error)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		who, err := v.identify(r)
		if err != nil {
			refuse(w, r, err)
			return
		}
		if !overUnix(r) { // whoever is there is an admin
			if c := who(); !c.Role.Includes(least(r)) {
				v.fail(w, r, mayNot(c, least(r)))
				return
			}
		}
		next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), callerKey{}, who)))
	})
}

// identify says who calls, or that nobody of whom the server knows does.
func (v *server) identify(r *http.Request) (func() Caller, error) {
	if overUnix(r) {
		uid, ok := peerUID(r)
		if v.o.PeerCredCheck && (!ok || (uid != 0 && uid != os.Geteuid())) {
			return nil, &semper.Error{Code: semper.Forbidden, Message: "this socket serves root and the server's own user only"}
		}
		if !ok {
			uid = os.Geteuid()
		}
		return local(uid), nil
	}
	token := v.token()
	if token == "" {
		return nil, &semper.Error{Code: semper.Forbidden, Message: "this server takes no token, so nothing over TCP", Hint: "use the unix socket"}
	}
	owner := Caller{Name: "token", Role: Admin}
	if given, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer "); ok {
		if same(given, token) {
			return owner.itself, nil
		}
		if c, ok := v.user(given); ok {
			return c.itself, nil
		}
		return nil, &semper.Error{Code: semper.Forbidden, Message: "the token is not this server's", Hint: "set SEMPER_TOKEN to what the server's token file holds, or to what semper user add gave"}
	}
	if c, err := r.Cookie(cookieName); err == nil {
		if same(c.Value, session(token)) {
			return owner.itself, nil
		}
		if c, ok := v.user(c.Value); ok {
			return c.itself, nil
		}
	}
	return nil, &semper.Error{Code: semper.Forbidden, Message: "no token given", Hint: "set SEMPER_TOKEN to what the server's token file holds"}
}

func (c Caller) itself() Caller { return c }

// user is whose a token or a session is. What is looked up is its digest: how long that takes tells nothing of the token.
func (v *server) user(secret string) (Caller, bool) {
	if v.o.User == nil || secret == "" {
		return Caller{}, false
	}
	return v.o.User(TokenDigest(secret))
}

func (v *server) token() string {
	if v.o.Token == nil {
		return ""
	}
	return v.o.Token()
}

// session is what a browser keeps instead of the token; it dies with the token.
func session(token string) string {
	m := hmac.New(sha256.New, []byte(token))
	_, _ = io.WriteString(m, "semper session 1") // a hash never fails
	return hex.EncodeToString(m.Sum(nil))
}

// same compares secrets in a time that tells nothing about where they differ, or how long they are.
func same(a, b string) bool {
	x, y := sha256.Sum256([]byte(a)), sha256.Sum256([]byte(b))
	return subtle.ConstantTimeCompare(x[:], y[:]) == 1
}

// login turns the token of a link into a session cookie and leaves the token out of the address.
func (v *server) login(w http.ResponseWriter, r *http.Request) {
	token := v.token()
	if !overUnix(r) {
		given := r.URL.Query().Get("token")
		if _, known := v.user(given); token == "" || !known && !same(given, token) {
			v.refusePage(w, r, nil)
			return
		}
		token = given
		http.SetCookie(w, &http.Cookie{
			Name: cookieName, Value: session(token), Path: "/",
			HttpOnly: true, Secure: r.TLS != nil, SameSite: http.SameSiteStrictMode,
		})
	}
	http.Redirect(w, r, "/", http.StatusSeeOther)
}

// refuseAPI tells a program: 401 where showing a token would help.
func (v *server) refuseAPI(w http.ResponseWriter, r *http.Request, err error) {
	if overUnix(r) {
		v.fail(w, r, err)
		return
	}
	w.Header().Set("WWW-Authenticate", `Bearer realm="semper"`)
	v.failWith(w, http.StatusUnauthorized, toWire(err))
}

// refusePage tells a person in a browser.
func (v *server) refusePage(w http.ResponseWriter, _ *http.Request, _ error) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(http.StatusUnauthorized)
	_, _ = io.WriteString(w, `<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>semper: log in</title>
<h1>Log in</h1>
<p>This page is for who holds the server's token. Open <code>/login?token=TOKEN</code> with the token from the file
<code>token</code> in the server's data directory.</p>
</html>
`) // the browser went away: nobody to tell
}
