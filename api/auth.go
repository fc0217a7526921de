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

// by says who asks, for a change that names nobody.
func by(r *http.Request, given string) string {
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
		if err := v.authorize(r); err != nil {
			refuse(w, r, err)
			return
		}
		next.ServeHTTP(w, r)
	})
}

func (v *server) authorize(r *http.Request) error {
	if overUnix(r) {
		uid, ok := peerUID(r)
		if v.o.PeerCredCheck && (!ok || (uid != 0 && uid != os.Geteuid())) {
			return &semper.Error{Code: semper.Forbidden, Message: "this socket serves root and the server's own user only"}
		}
		return nil
	}
	token := v.token()
	if token == "" {
		return &semper.Error{Code: semper.Forbidden, Message: "this server takes no token, so nothing over TCP", Hint: "use the unix socket"}
	}
	if given, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer "); ok {
		if same(given, token) {
			return nil
		}
		return &semper.Error{Code: semper.Forbidden, Message: "the token is not this server's", Hint: "set SEMPER_TOKEN to what the server's token file holds"}
	}
	if c, err := r.Cookie(cookieName); err == nil && same(c.Value, session(token)) {
		return nil
	}
	return &semper.Error{Code: semper.Forbidden, Message: "no token given", Hint: "set SEMPER_TOKEN to what the server's token file holds"}
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
		if token == "" || !same(r.URL.Query().Get("token"), token) {
			v.refusePage(w, r, nil)
			return
		}
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
