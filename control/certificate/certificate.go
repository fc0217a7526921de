package certificate

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"semper"
	"semper/api"
)

// Events are what is to be told of the step from before to now: certificates that came or were renewed, and those
// that cannot be had, once. A nil before is that nothing is known: then only trouble is told. What the local authority
// gives is made as it is asked for, and nothing to tell.
func Events(before, now []api.Certificate, table semper.Table, at time.Time) []semper.Event {
	had := make(map[string]api.Certificate, len(before))
	for _, c := range before {
		had[c.Host] = c
	}
	var out []semper.Event
	tell := func(kind, host, message string) {
		e := semper.Event{At: at, Kind: kind, Message: message}
		e.App, e.Environment = whose(host, table)
		out = append(out, e)
	}
	for _, c := range now {
		was := had[c.Host]
		switch {
		case c.Error != "" && (was.Error == "" || was.Advice != c.Advice):
			tell("certificate.failed", c.Host, fmt.Sprintf("%s has no new certificate: %s; %s", c.Host, oneLine(c.Error), c.Advice))
		case c.Error == "" && before != nil && c.Source != "" && c.Source != "local" && (was.Source != c.Source || !was.NotAfter.Equal(c.NotAfter)):
			tell("certificate.served", c.Host, fmt.Sprintf("%s has a certificate from %s until %s", c.Host, origin(c.Source), c.NotAfter.UTC().Format(time.DateOnly)))
		}
	}
	return out
}

// origin is a source of certificates in words.
func origin(source string) string {
	switch source {
	case "acme":
		return "the ACME authority"
	case "file":
		return "a file"
	case "local":
		return "this server's own authority"
	}
	return "nowhere"
}

// whose are the app and the environment that a host leads to first.
func whose(host string, table semper.Table) (app, environment string) {
	for _, r := range slices.Concat(table.Routes, table.Rules) {
		if r.Host != host || r.Pool == "" {
			continue
		}
		app, rest, _ := strings.Cut(string(r.Pool), "/") // as semper.NamePool makes it
		environment, _, _ := strings.Cut(rest, "/")
		return app, environment
	}
	return "", ""
}

// oneLine is text of an authority's for a line: without what breaks it, and not without end.
func oneLine(s string) string {
	s = strings.Join(strings.Fields(s), " ")
	if len(s) > 300 {
		s = strings.ToValidUTF8(s[:300], "") + "…"
	}
	return s
}

// trouble is what is wrong with c and what to do; "" for nothing.
func trouble(c api.Certificate, now time.Time) string {
	var s string
	switch {
	case c.Error != "" && (c.Source == "" || c.Source == "local"):
		s = fmt.Sprintf("no client trusts the certificate of %s, because the authority gives none: %s", c.Host, oneLine(c.Error))
	case c.Error != "":
		s = fmt.Sprintf("the certificate of %s is not renewed, and ends at %s: %s", c.Host, c.NotAfter.UTC().Format(time.DateOnly), oneLine(c.Error))
	case !c.NotAfter.IsZero() && now.After(c.NotAfter):
		s = fmt.Sprintf("the certificate of %s ended at %s", c.Host, c.NotAfter.UTC().Format(time.DateOnly))
	case c.Advice == "":
		return ""
	default:
		return c.Host + ": " + c.Advice
	}
	if c.Advice != "" {
		s += "; " + c.Advice
	}
	if !c.Next.IsZero() {
		s += "; it is tried again at " + c.Next.UTC().Format("15:04:05Z")
	}
	return s
}

// Warnings are the troubles of the hosts of e.
func Warnings(list []api.Certificate, table semper.Table, e semper.Environment) (out []string) {
	for _, c := range list {
		app, environment := whose(c.Host, table)
		if s := trouble(c, time.Now()); s != "" && app == e.App && environment == e.Name {
			out = append(out, s)
		}
	}
	return out
}

// Checks are what doctor says of certificates; nothing where there are none.
func Checks(list []api.Certificate) []api.Check {
	var out []api.Check
	good := 0
	for _, c := range list {
		s := trouble(c, time.Now())
		if s == "" {
			good++
			continue
		}
		status := "warn"
		if c.Source == "" || c.Source == "local" && c.Error != "" || !c.NotAfter.IsZero() && time.Now().After(c.NotAfter) {
			status = "fail"
		}
		out = append(out, api.Check{Name: "certificate", Status: status, Detail: s, Hint: c.Advice})
	}
	if good > 0 {
		out = append(out, api.Check{Name: "certificates", Status: "ok", Detail: fmt.Sprintf("%d of %d hosts are well", good, len(list))})
	}
	return out
}
