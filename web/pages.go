package web

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"html/template"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"semper"
	"semper/api"
)

// A fragment is a part of a page that the stream replaces as a whole when its bytes change.
type fragment struct {
	Name, Version string
	HTML          template.HTML
}

// The fragments of the page of all apps and of an app's page, in the order of the page.
func overviewFragments() []string {
	return []string{"notice", "needs", "apps", "queues", "semper", "crashes", "events"}
}

func appFragments() []string {
	return []string{"notice", "needs", "head", "rollout", "pipeline", "traffic", "queues", "experiments", "instances", "crons", "tasks", "tree", "releases", "crashes", "events"}
}

type pages struct {
	t       *template.Template
	version string // of the assets
}

// parsePages reads the templates linked into the binary. A panic here is a broken build, not an input.
func parsePages(version string) *pages {
	t := template.New("").Funcs(template.FuncMap{
		"mark": markOf, "needs": needs, "ways": ways, "runMark": runMark, "rolloutMark": rolloutMark, "health": healthOf, "readiness": readyOf, "timeline": timeline,
		"summary": summary, "holdWords": holdWords, "waiting": waiting, "stepWords": stepWords, "commands": commands, "eventTone": eventTone, "pips": pipsOf,
		"leaf": leafName, "local": localID, "link": link, "stamp": stamp, "took": took, "num": num, "bytes": bytesOf,
		"traffic": trafficOf, "perSecond": perSecond, "millis": millis, "part": partOf, "hint": semper.HintOf, "keyOf": keyOf, "join": strings.Join, "change": changeOf,
		"where": where, "inside": insideOf, "shown": shownOf, "verdictMark": verdictMark, "placeMark": placeMark, "stepName": stepName, "evidenceOf": evidenceOf, "ordered": ordered, "scaled": scaled, "short": short,
		"experimentMark": experimentMark, "experimentSays": experimentSays, "experimentCommands": experimentCommands, "usersOf": usersOf, "taskWhat": taskWhat, "taskWhy": taskWhy, "cronRun": cronRun, "cronState": cronState, "cronWhy": cronWhy, "releaseOf": releaseOf, "sharesOf": sharesOf, "mismatchSays": mismatchSays, "effects": effects,
		"queueMark": queueMark, "jobMark": jobMark, "jobSays": jobSays, "attemptSays": attemptSays, "tries": tries, "tabs": tabs, "flows": flows, "reach": reach,
		"rules": rulesOf, "leadsTo": leadsTo, "rateIn": rateIn, "rateOut": rateOut, "messageOf": messageOf, "may": mayDeploy,
		"conf": confidence, "conf1": shareWords, "mean": evidenceOf,
	})
	return &pages{t: template.Must(t.ParseFS(files, "page/*.html")), version: version}
}

// fragments renders the named parts of l.
func (p *pages) fragments(names []string, l *look) (map[string]fragment, error) {
	out := make(map[string]fragment, len(names))
	for _, name := range names {
		var b bytes.Buffer
		if err := p.t.ExecuteTemplate(&b, "part-"+name, l); err != nil {
			return nil, &semper.Error{Code: semper.Internal, Op: "draw page", Message: "part " + name, Err: err}
		}
		sum := sha256.Sum256(b.Bytes())
		html := template.HTML(bytes.TrimSpace(b.Bytes())) //nolint:gosec // html/template made it
		out[name] = fragment{Name: name, Version: hex.EncodeToString(sum[:6]), HTML: html}
	}
	return out, nil
}

// A page is what the frame around every page needs.
type page struct {
	Title   string
	Live    string // the address of its stream; empty: it does not change
	Version string
	Body    string              // the template of its middle
	F       map[string]fragment // of followed pages
	Look    *look
	Data    any
}

func (u *ui) write(w http.ResponseWriter, status int, p page) {
	p.Version = u.pages.version
	var b bytes.Buffer
	if err := u.pages.t.ExecuteTemplate(&b, "frame", p); err != nil {
		http.Error(w, "semper met a bug while it drew this page: "+err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	_, _ = w.Write(b.Bytes()) // the browser went away: nobody to tell
}

// fail serves what went wrong as a page, with the status its code calls for.
func (u *ui) fail(w http.ResponseWriter, err error) {
	status := http.StatusInternalServerError
	switch semper.CodeOf(err) {
	case semper.NotFound:
		status = http.StatusNotFound
	case semper.Invalid:
		status = http.StatusBadRequest
	case semper.Forbidden:
		status = http.StatusForbidden
	case semper.Conflict:
		status = http.StatusConflict
	case semper.Unavailable:
		status = http.StatusServiceUnavailable
		w.Header().Set("Retry-After", "2")
	case semper.Timeout:
		status = http.StatusGatewayTimeout
	}
	u.write(w, status, page{Title: http.StatusText(status), Body: "problem", Look: &look{}, Data: err})
}

// followed serves a page made of fragments.
func (u *ui) followed(names []string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		l := &look{App: r.PathValue("app"), Env: r.PathValue("env")}
		if err := u.statuses(r.Context(), l, true); err != nil {
			u.fail(w, err)
			return
		}
		u.parts(r.Context(), l)
		u.queues(r.Context(), l)
		u.past(r.Context(), l, shownEvents)
		f, err := u.pages.fragments(names, l)
		if err != nil {
			u.fail(w, err)
			return
		}
		p := page{Title: "Apps", Body: "overview", Live: "/ui/events", F: f, Look: l}
		if l.App != "" {
			p.Title, p.Body = where(l.App, l.Env), "app"
			p.Live += "?" + url.Values{"app": {l.App}, "env": {l.Env}}.Encode()
		}
		u.write(w, http.StatusOK, p)
	}
}

// where names an environment as a person would: the default one goes without saying.
func where(app, env string) string {
	if env == semper.DefaultEnvironment || env == "" {
		return app
	}
	return app + " " + env
}

func (u *ui) toDefault(w http.ResponseWriter, r *http.Request) {
	http.Redirect(w, r, link("app", r.PathValue("app"), semper.DefaultEnvironment), http.StatusSeeOther)
}

func (u *ui) unknown(w http.ResponseWriter, r *http.Request) {
	u.fail(w, &semper.Error{Code: semper.NotFound, Message: "there is no page " + r.URL.Path, Hint: "the overview lists what there is"})
}

// crash serves a report: a fact that does not change, so the page is not followed.
func (u *ui) crash(w http.ResponseWriter, r *http.Request) {
	c, err := u.s.Crash(r.Context(), r.PathValue("id"))
	if err != nil {
		u.fail(w, err)
		return
	}
	u.write(w, http.StatusOK, page{Title: "Crash " + c.ID, Body: "crash", Look: &look{App: c.App, Env: c.Environment}, Data: c})
}

// releaseView is a release with what differs from the one before it.
type releaseView struct {
	api.ReleaseInfo
	Before  semper.ReleaseName
	Changes []string
	Why     error // why Changes are not known
}

func (u *ui) release(w http.ResponseWriter, r *http.Request) {
	app, name := r.PathValue("app"), semper.ReleaseName(r.PathValue("release"))
	v, err := u.releaseOf(r.Context(), app, name)
	if err != nil {
		u.fail(w, err)
		return
	}
	u.write(w, http.StatusOK, page{Title: fmt.Sprintf("%s %s", app, name), Body: "release", Look: &look{App: app}, Data: v})
}

func (u *ui) releaseOf(ctx context.Context, app string, name semper.ReleaseName) (releaseView, error) {
	all, err := u.s.Releases(ctx, app)
	if err != nil {
		return releaseView{}, err
	}
	i := slices.IndexFunc(all, func(r api.ReleaseInfo) bool { return r.Name == name })
	if i < 0 {
		return releaseView{}, &semper.Error{
			Code: semper.NotFound, Message: fmt.Sprintf("%s has no release %q", app, name), Hint: "the app's page lists its releases",
		}
	}
	v := releaseView{ReleaseInfo: all[i]}
	if i+1 < len(all) {
		v.Before = all[i+1].Name
		d, err := u.s.ReleaseDiff(ctx, app, v.Before, name)
		v.Changes, v.Why = d.Changes, err
	}
	return v, nil
}

// change is one line of a difference, told apart by more than its colour.
type change struct{ Tone, Sign, Text string }

func changeOf(line string) change {
	sign, text, ok := strings.Cut(line, " ")
	tone := map[string]string{"+": "ok", "-": "bad", "~": "warn"}[sign]
	if !ok || tone == "" {
		return change{"off", "", line}
	}
	return change{tone, sign, text}
}

// events serves the long list.
func (u *ui) events(w http.ResponseWriter, r *http.Request) {
	l := &look{App: r.FormValue("app"), Env: r.FormValue("env")}
	u.past(r.Context(), l, listedEvents)
	if l.EventsErr != nil {
		u.fail(w, l.EventsErr)
		return
	}
	title := "Events"
	if l.App != "" {
		title += " of " + where(l.App, l.Env)
	}
	u.write(w, http.StatusOK, page{Title: title, Body: "history", Look: l})
}
