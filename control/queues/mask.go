package queues

import (
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"semper/api"
	"semper/queue"
)

// hidden stands where a value is not shown.
const hidden = "(hidden)"

// shownBody is how many bytes of a body are shown.
const shownBody = 64 << 10

// telling are parts of names whose values let somebody in, in lower case.
var telling = []string{"authorization", "cookie", "token", "secret", "password", "passwd", "api-key", "apikey", "api_key", "signature", "session", "credential", "jwt", "access-key", "access_key", "private-key"}

// secret reports whether a field or parameter of that name may have a secret value: rather one too many.
func secret(name string) bool {
	name = strings.ToLower(name)
	return slices.ContainsFunc(telling, func(part string) bool { return strings.Contains(name, part) }) ||
		name == "key" || name == "sig" || name == "code" || name == "auth"
}

// message is one that may be shown.
type message struct{ api.JobMessage }

func request(r queue.Request) *api.JobMessage {
	m := &message{api.JobMessage{Method: r.Method, Host: r.Host}}
	m.Target = m.target(r.Target)
	m.fields(r.Header, r.Body)
	return &m.JobMessage
}

func response(r queue.Result) *api.JobMessage {
	m := &message{api.JobMessage{Status: r.Status}}
	m.fields(r.Header, r.Body)
	return &m.JobMessage
}

// target is a request's target with the values of telling parameters hidden; nothing else of it changes.
func (m *message) target(text string) string {
	path, query, ok := strings.Cut(text, "?")
	if !ok {
		return text
	}
	pairs := strings.Split(query, "&")
	for i, pair := range pairs {
		name, _, _ := strings.Cut(pair, "=")
		plain, err := url.QueryUnescape(name)
		if err != nil || secret(plain) {
			pairs[i] = name + "=" + hidden
			m.Hidden = append(m.Hidden, name)
		}
	}
	return path + "?" + strings.Join(pairs, "&")
}

// fields and the body, which is shown up to its bound.
func (m *message) fields(h http.Header, body []byte) {
	m.Header = maps.Clone(h)
	for name, values := range m.Header {
		if secret(name) {
			m.Header[name] = slices.Repeat([]string{hidden}, len(values))
			m.Hidden = append(m.Hidden, name)
		}
	}
	slices.Sort(m.Hidden)
	m.Size, m.Body = len(body), body[:min(len(body), shownBody)]
}
