package certs

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"semper/edge/certs/localca"
	"semper/supervise"
)

// Options say what a Manager is made of.
type Options struct {
	// Dir is for what is made here: certificates for development, and the default Storage. "" keeps nothing; then there
	// is no ACME without a Storage.
	Dir     string
	Storage Storage // what edges share; nil is File{Dir/storage}

	Files    []Pair // certificates in files; the first is the default one
	FilesDir string // NAME.crt with NAME.key in this directory are certificates too, in the order of their names
	Default  string // whose certificate a client gets that asks for no name, or an unknown one; "" is the first there is
	// Strict refuses a client that asks for an unknown name, with the alert unrecognized_name, instead of giving it
	// the default certificate.
	Strict bool

	// SelfSigned are names to have self-signed certificates for, beside whatever else there is: "localhost", "*.test". With
	// them none is made for any other name.
	SelfSigned []string

	// Local has an authority of one's own, which edges share like all else, give certificates for the names of
	// [Manager.SetNames] that come from nowhere else, and for this machine.
	Local    bool
	RootFile string // where the certificate of that authority is put, for people to trust; "": nowhere

	ACME    *ACME
	Clients *Clients // whom to ask for a certificate; nil: nobody
	ALPN    []string // protocols over TLS, the preferred one first; nil means h2, http/1.1

	Poll    time.Duration // how often files are looked at; 0 means ten seconds, < 0 never
	Log     *slog.Logger  // nil discards
	Observe func(Event)   // told of each event, in the goroutine that has it; nil: nobody is
	// Supervised is told what happens to the parts in the background; nil: nobody is. It must not call the Manager.
	Supervised func(supervise.Event)
}

// Event is that a certificate is served from now on, or that one could not be had.
type Event struct {
	Name     string // of the certificate, the first of several; "" where a file could not be read
	Source   Source
	NotAfter time.Time // zero with Err
	Err      error
}

// Manager has the edge's certificates and sees to them until it is closed.
type Manager struct {
	o       Options
	log     *slog.Logger
	storage Storage // nil: nothing is kept
	dev     *development
	acme    *authority    // nil without ACME
	work    worker        // it, or a test's
	slots   chan struct{} // bounds the tries at the same time

	names   atomic.Pointer[names]
	local   atomic.Pointer[localca.Authority] // nil without it
	settled bool                              // local is the shared one; of New, and then of the goroutine that shares

	ctx        context.Context
	stop       context.CancelFunc
	background *supervise.Dynamic

	index  atomic.Pointer[index]
	server atomic.Pointer[tls.Config] // what GetConfigForClient gives

	closing sync.Once
	reading sync.Mutex // guards files, and is held while they are read
	files   files

	// mu guards what index and server are made of, and that nothing is begun after Close.
	mu      sync.Mutex
	given   []*certificate // from files
	signed  []*certificate // by themselves, for SelfSigned
	managed map[string]*tended
	tickets []ticketKey
}

// New reads the files and begins to tend. It fails if a file cannot be used: at the start there is nothing before it to
// go on with. It does not wait for an authority. The first handshakes may: those for a name wait for its first try.
func New(o Options) (*Manager, error) { return newManager(o, nil) }

// newManager is New with a worker of its own, for tests of the schedule; nil is certmagic.
func newManager(o Options, by worker) (*Manager, error) {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if len(o.ALPN) == 0 {
		o.ALPN = []string{"h2", "http/1.1"}
	}
	if o.Poll == 0 {
		o.Poll = 10 * time.Second
	}
	m := &Manager{o: o, log: o.Log, storage: o.Storage, work: by, slots: make(chan struct{}, 16), managed: map[string]*tended{},
		files: files{pairs: o.Files, dir: o.FilesDir}}
	devDir := ""
	if o.Dir != "" {
		devDir = filepath.Join(o.Dir, "development")
		if m.storage == nil {
			m.storage = File{Dir: filepath.Join(o.Dir, "storage")}
		}
	}
	m.names.Store(newNames(nil))
	if o.ACME == nil && !o.Local {
		m.dev = newDevelopment(devDir)
	} else if err := m.prepare(o.ACME); err != nil {
		return nil, err
	}
	m.ctx, m.stop = context.WithCancel(context.Background())
	m.index.Store(newIndex(nil, ""))
	err := m.start()
	if err == nil {
		err = m.sign(devDir)
	}
	if err == nil {
		err = m.Reload()
	}
	if ix := m.index.Load(); err == nil && o.Default != "" && o.ACME == nil && len(ix.all) > 0 && ix.find(hostname(o.Default)) == nil {
		err = fmt.Errorf("the default certificate is to be that of %s, and there is none for it: add it, or name another", o.Default)
	}
	var unshared error
	if err == nil {
		unshared = m.share(m.ctx)
		err = m.rebuild()
	}
	if err != nil {
		m.Close()
		return nil, fmt.Errorf("TLS of the edge: %w", err)
	}
	if o.ACME != nil {
		for _, n := range o.ACME.Names {
			m.tend(n, false)
		}
	}
	m.spawn("sharing", func() { m.settle(unshared) })
	if o.Poll > 0 && (len(o.Files) > 0 || o.FilesDir != "") {
		m.spawn("files", func() { m.every(o.Poll, func() { m.tell(m.reread(false)) }) })
	}
	return m, nil
}

// sign has the certificates of SelfSigned.
func (m *Manager) sign(dir string) error {
	if len(m.o.SelfSigned) == 0 {
		return nil
	}
	m.dev = nil // for those names and no others
	d := newDevelopment(dir)
	for _, n := range m.o.SelfSigned {
		c, err := d.provide(strings.ToLower(n))
		if err != nil {
			return fmt.Errorf("self-signed certificate for %s: %w", n, err)
		}
		m.signed = append(m.signed, newCertificate(c, Development))
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.publish()
	return nil
}

// prepare sets ACME up.
func (m *Manager) prepare(acme *ACME) error {
	if acme == nil {
		return nil
	}
	a := *acme
	if err := a.validate(); err != nil {
		return err
	}
	if m.storage == nil {
		return errors.New("ACME: certificates have to be kept somewhere: give a directory or a storage")
	}
	if a.Check <= 0 {
		a.Check = defaultCheck
	}
	m.o.ACME = &a
	if m.work == nil {
		m.acme = newAuthority(&a, m.storage, m.log)
		m.work = m.acme
	}
	return nil
}

// Close ends what goes on in the background and waits for it; a try that is asking an OCSP responder may take half a
// minute to notice. The configurations go on serving what there is.
func (m *Manager) Close() {
	m.mu.Lock()
	m.stop()
	m.mu.Unlock()
	if m.background != nil {
		m.background.Stop(context.Background()) //nolint:errcheck // nothing ends its waiting
	}
	m.closing.Do(func() {
		if m.acme != nil {
			m.acme.close()
		}
	})
}

func (m *Manager) observe(e Event) {
	if m.o.Observe != nil {
		m.o.Observe(e)
	}
}

// Reload reads all files again, whether they look changed or not: certificates and authorities of clients. What cannot be
// used is in the error; what was there before it stays.
func (m *Manager) Reload() error { return errors.Join(m.reread(true), m.rebuild()) }

func (m *Manager) reread(everything bool) error {
	m.reading.Lock()
	defer m.reading.Unlock()
	given, changed, err := m.files.read(everything)
	m.mu.Lock()
	before := m.given
	if changed {
		m.given = given
		m.publish()
	}
	m.mu.Unlock()
	if changed {
		m.assign()
	}
	for _, c := range given {
		if changed && !slices.ContainsFunc(before, func(b *certificate) bool { return b == c || b.tls.Leaf.Equal(c.tls.Leaf) }) {
			m.served(c)
		}
	}
	if err != nil {
		m.observe(Event{Source: FromFile, Err: err})
	}
	return err
}

// served tells that c is there.
func (m *Manager) served(c *certificate) {
	name := ""
	if len(c.names) > 0 {
		name = c.names[0]
	}
	log := m.log.Info
	if time.Now().After(c.notAfter()) {
		log = m.log.Warn // no client accepts it; but nothing gets better by refusing it
	}
	log("certificate", "name", name, "names", len(c.names), "from", string(c.source), "until", c.notAfter())
	m.observe(Event{Name: name, Source: c.source, NotAfter: c.notAfter()})
}

// publish makes the index anew. The caller holds mu.
func (m *Manager) publish() {
	all := slices.Clone(m.given)
	names := make([]string, 0, len(m.managed))
	for n, t := range m.managed {
		if t.cert != nil {
			names = append(names, n)
		}
	}
	slices.Sort(names)
	// Those named in the configuration before those made on demand, in its order: the first is the default one.
	if m.o.ACME != nil {
		slices.SortStableFunc(names, func(a, b string) int { return m.o.ACME.order(a) - m.o.ACME.order(b) })
	}
	for _, n := range names {
		all = append(all, m.managed[n].cert)
	}
	all = append(all, m.signed...)
	m.index.Store(newIndex(all, hostname(m.o.Default)))
}

// rebuild makes the configuration of new connections anew.
func (m *Manager) rebuild() error {
	t := &tls.Config{
		MinVersion: tls.VersionTLS12, CipherSuites: suites, NextProtos: m.o.ALPN, GetCertificate: m.certificate,
	}
	if err := m.o.Clients.apply(t); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.tickets) > 0 {
		t.SetSessionTicketKeys(arrange(m.tickets, time.Now()))
	}
	m.server.Store(t)
	return nil
}

// TLSConfig is for listeners, as many as there are. It follows every change: keys, certificates, authorities. Copies of it do
// too.
func (m *Manager) TLSConfig() *tls.Config {
	var challenge *tls.Config
	if m.acme != nil && !m.o.ACME.NoTLSALPN01 {
		challenge = m.acme.challenge()
	}
	return &tls.Config{
		MinVersion: tls.VersionTLS12, NextProtos: slices.Clone(m.o.ALPN),
		GetConfigForClient: func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
			if challenge != nil && isChallenge(hello) {
				return challenge, nil
			}
			return m.server.Load(), nil
		},
	}
}

func (m *Manager) certificate(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	return m.answer(hello.Context(), hello)
}

// answer answers one handshake, which ends with ctx.
func (m *Manager) answer(ctx context.Context, hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	ix := m.index.Load()
	name := strings.ToLower(hello.ServerName)
	if e := ix.find(name); e != nil {
		return e.choose(hello), nil
	}
	if m.dev != nil && len(ix.all) == 0 {
		return m.dev.get(name)
	}
	cert, ours := m.await(ctx, name)
	if cert == nil {
		if own, is, err := m.own(name); is {
			return own, err
		}
	}
	if ours {
		return cert, nil // nil, while there is none, is the alert unrecognized_name
	}
	if m.o.Strict && name != "" {
		return nil, nil //nolint:nilnil // the same
	}
	if a := m.local.Load(); a != nil && ix.fallback == nil {
		return a.Certificate("")
	}
	return ix.fallback.choose(hello), nil
}

// SameCertificate reports whether a request for host (a Host field, with or without port) belongs on a connection whose
// handshake was s: whether what its client was shown is for host too, or neither name has anything of its own. If not,
// the answer is 421 (RFC 9110, 15.5.20). It goes by the certificates of now.
func (m *Manager) SameCertificate(s tls.ConnectionState, host string) bool {
	sni, name := strings.ToLower(s.ServerName), hostname(host)
	ix := m.index.Load()
	if m.dev != nil && len(ix.all) == 0 || m.local.Load() != nil && ix.find(sni) == nil && ix.find(name) == nil {
		return sni == "" || sni == name // each name has its own, when it asks
	}
	return ix.same(sni, name)
}

// HTTPHandler answers http-01 challenges, whichever edge ordered, and leaves everything else to next. Only requests below
// ChallengePath can be challenges; of those, too, what is none goes to next.
func (m *Manager) HTTPHandler(next http.Handler) http.Handler {
	if m.acme == nil {
		return next
	}
	return m.acme.issuer.HTTPChallengeHandler(next)
}

// Expiry is when a name's certificate ends: the one that is preferred, of several.
type Expiry struct {
	Name     string
	Source   Source
	NotAfter time.Time
}

// Expiries are those of all names, in the order of the names; of development there are none.
func (m *Manager) Expiries() []Expiry {
	ix := m.index.Load()
	all := make([]Expiry, 0, len(ix.names))
	for n, e := range ix.names {
		all = append(all, Expiry{Name: n, Source: e[0].source, NotAfter: e[0].notAfter()})
	}
	slices.SortFunc(all, func(a, b Expiry) int { return strings.Compare(a.Name, b.Name) })
	return all
}
