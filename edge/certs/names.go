package certs

import (
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/caddyserver/certmagic"
	"github.com/mholt/acmez/v3/acme"
)

// names are what SetNames was told last. They do not change.
type names struct {
	all   bool            // any name may be asked for
	given []string        // in order, in lower case
	known map[string]bool // given; wildcards begin with "*."
}

func newNames(list []string) *names {
	n := &names{known: map[string]bool{}}
	for _, name := range list {
		switch name = strings.ToLower(strings.TrimSuffix(name, ".")); {
		case name == "" || name == "*":
			n.all = true
		case !n.known[name]:
			n.known[name] = true
			n.given = append(n.given, name)
		}
	}
	slices.Sort(n.given)
	return n
}

// local reports whether the local authority may give a certificate for name to whoever asks.
func (n *names) local(name string) bool {
	return n.known[name] || n.known[wildcard(name)] || n.all && plausible().MatchString(name)
}

// SetNames says which names there are to be certificates for, in the place of those it said before: by the authority of ACME
// those that it can have, by the local one the others, and those on the way; none where a file has one. "" stands for
// every other name, which only the local one gives certificates for. What is begun and ended by that goes on in the
// background. A name that is not named any more keeps what is stored for it.
func (m *Manager) SetNames(list []string) {
	m.names.Store(newNames(list))
	m.assign()
}

// assign begins to tend what SetNames named and files do not cover, and ends what it names no more.
func (m *Manager) assign() {
	if m.o.ACME == nil {
		return
	}
	m.mu.Lock()
	want := map[string]bool{}
	for _, name := range m.names.Load().given {
		want[name] = m.o.ACME.gives(name) && !m.covered(name)
	}
	changed := false
	for name, t := range m.managed {
		if !t.demand && !want[name] && !slices.Contains(m.o.ACME.Names, name) {
			t.stop()
			delete(m.managed, name)
			changed = changed || t.cert != nil
		}
	}
	if changed {
		m.publish()
	}
	m.mu.Unlock()
	for name, is := range want {
		if is {
			m.tend(name, false)
		}
	}
}

// covered reports whether a file has a certificate for name. The caller holds mu.
func (m *Manager) covered(name string) bool {
	return slices.ContainsFunc(m.given, func(c *certificate) bool { return c.covers(name) })
}

// gives reports whether the authority can give a certificate for name. One that everybody trusts has none for names that
// mean something else to everybody.
func (a *ACME) gives(name string) bool {
	if strings.HasPrefix(name, "*.") || name == localhost || strings.HasSuffix(name, "."+localhost) {
		return false
	}
	if a.CA == "" || strings.Contains(a.CA, ".letsencrypt.org/") {
		return certmagic.SubjectQualifiesForPublicCert(name) && !certmagic.SubjectIsIP(name)
	}
	return certmagic.SubjectQualifiesForCert(name) && !certmagic.SubjectIsIP(name)
}

// Standing is how it stands with the certificate of a name of SetNames.
type Standing struct {
	Name     string
	Source   Source    // of what is served; "" while there is none
	NotAfter time.Time // of what is served; zero where it is made when it is asked for
	// Err is why there is no new certificate, Advice what to do about it in words for people, Next when it is tried again.
	Err    error
	Advice string
	Next   time.Time
}

// Standings are those of all names, in their order.
func (m *Manager) Standings() []Standing {
	n, ix := m.names.Load(), m.index.Load()
	out := make([]Standing, 0, len(n.given))
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, name := range n.given {
		s := Standing{Name: name}
		if e := ix.find(name); e != nil {
			s.Source, s.NotAfter = e[0].source, e[0].notAfter()
		} else if t := m.managed[name]; m.local.Load() != nil && (t == nil || t.err != nil) {
			s.Source = Local
		}
		switch t := m.managed[name]; {
		case t != nil && t.err != nil:
			s.Err, s.Advice, s.Next = t.err, advice(t.err), t.next
		case m.o.ACME != nil && strings.HasPrefix(name, "*.") && s.Source == Local:
			s.Advice = "the authority gives no certificate for a wildcard by the challenges there are: put one into a file"
		case s.Source == FromFile && time.Now().After(s.NotAfter):
			s.Advice = "the certificate in the file has ended: replace it"
		}
		out = append(out, s)
	}
	return out
}

// advice is what to do about err, which kept a certificate from being had.
func advice(err error) string {
	p, ok := errors.AsType[acme.Problem](err)
	if !ok {
		return "see whether the authority and the store can be reached from this machine; it is tried again by itself"
	}
	const where = "the name has to lead to this machine (A and AAAA records), and ports 80 and 443 there to this edge from everywhere"
	switch p.Type {
	case acme.ProblemTypeRateLimited:
		return "the authority has a limit, which ends by itself; try settings with --acme staging, which has wider ones"
	case acme.ProblemTypeCAA:
		return "a CAA record of the domain keeps this authority from giving certificates: add it there"
	case acme.ProblemTypeRejectedIdentifier:
		return "the authority gives none for this name: put a certificate into a file, or leave the name to the local authority"
	case acme.ProblemTypeDNS:
		return "the authority cannot resolve the name: " + where
	case acme.ProblemTypeExternalAccountRequired:
		return "the authority wants an account that it knows from elsewhere, which semper server does not have: use another authority, or files"
	}
	return where
}
