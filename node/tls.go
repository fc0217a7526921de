package node

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	"semper"
	"semper/edge/certs"
	"semper/edge/certs/mirror"
	"semper/edge/certs/sealed"
	"semper/edge/tablefile"
	"semper/internal/handoff"
	"semper/store/etcd"
)

// ACME says which authority gives the hosts of the routes certificates.
type ACME struct {
	Authority string // "letsencrypt", "staging" or the URL of a directory; "" is none: only files and the local authority
	Email     string
	Roots     string // PEM file of whom to trust as the authority; "": the system's
}

// staging is the authority to try settings with: its limits are wide, and nobody trusts it.
const staging = "https://acme-staging-v02.api.letsencrypt.org/directory"

// acme is a as an edge wants it that has these sockets.
func (a ACME) acme(sockets []handoff.Socket) (*certs.ACME, error) {
	if a.Authority == "" {
		return nil, nil //nolint:nilnil // none is no fault
	}
	out := &certs.ACME{Agreed: true, CA: a.Authority, Email: a.Email, NoHTTP01: true}
	switch a.Authority {
	case "letsencrypt":
		out.CA = ""
	case "staging":
		out.CA = staging
	}
	if a.Roots != "" {
		text, err := os.ReadFile(a.Roots)
		if err != nil {
			return nil, fmt.Errorf("whom to trust as the ACME authority: %w", err)
		}
		out.Roots = x509.NewCertPool()
		if !out.Roots.AppendCertsFromPEM(text) {
			return nil, fmt.Errorf("whom to trust as the ACME authority: %s has no certificate in PEM", a.Roots)
		}
	}
	for _, s := range slices.Backward(sockets) { // the first of each rules
		host, port, err := net.SplitHostPort(s.Addr())
		if err != nil {
			continue
		}
		n, _ := strconv.Atoi(port) // 0 is the usual one
		switch s.Name {
		case "http":
			out.NoHTTP01, out.HTTPPort = false, n
		case "https":
			out.Host, out.TLSPort = host, n
		}
	}
	return out, nil
}

// certificates are where the TLS of one process comes from.
type certificates struct {
	*certs.Manager
	store *etcd.Store
	table semper.Table // whose hosts have certificates; of whoever applies tables
}

// storePatience is how long the store may take to answer: who asks it for certificates has a copy of them, and goes on.
const storePatience = 2 * time.Second

// openCertificates begins. All processes share what they obtain, and what they make, by the store, encrypted; a copy of what
// a process has seen stays on its disk, so that it begins without the store as well (law L9). That may take a few seconds.
// o says the rest.
func openCertificates(ctx context.Context, d dirs, o certs.Options) (*certificates, error) {
	id, err := sealed.Identity(d.identity())
	if err != nil {
		return nil, err
	}
	s, err := etcd.Open(ctx, d.storeSocket(), etcd.Options{Patience: storePatience})
	if err != nil {
		return nil, err
	}
	place := sealed.Place(id)
	near := certs.File{Dir: filepath.Join(d.tlsCopy(), place)}
	o.Storage = sealed.Storage(mirror.Of(certs.InStore(s, "tls/"+place+"/", holder()), near, o.Log), id)
	o.FilesDir, o.Local, o.RootFile = d.tls(), true, d.root()
	o.Supervised = observe(ctx, o.Log).Observe
	m, err := certs.New(o)
	if err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return &certificates{Manager: m, store: s}, nil
}

// secure gives the edge its TLS, if it has a socket for it: by the last route table on disk.
func (p *plane) secure(ctx context.Context) error {
	if !slices.ContainsFunc(p.sockets, func(s handoff.Socket) bool { return s.Name == "https" }) {
		return nil
	}
	acme, err := p.o.ACME.acme(p.sockets)
	if err != nil {
		return err
	}
	c, err := openCertificates(ctx, p.dirs, certs.Options{ACME: acme, Log: p.o.Log})
	if err != nil {
		return err
	}
	p.certs = c
	p.options.TLS, p.options.Belongs, p.options.Challenges = c.TLSConfig(), c.SameCertificate, c.HTTPHandler
	last, err := tablefile.Load(p.dirs.edge(), p.o.Log)
	if err != nil {
		return errors.Join(err, c.close())
	}
	c.serve(last)
	return nil
}

func (c *certificates) close() error {
	if c == nil {
		return nil
	}
	c.Close()
	return c.store.Close()
}

// expect has certificates for the hosts of t as well: those of a table that is about to be applied.
func (c *certificates) expect(t semper.Table) {
	if c != nil {
		c.SetNames(append(hosts(c.table), hosts(t)...))
	}
}

// serve has certificates for the hosts of t, which is applied, and no others.
func (c *certificates) serve(t semper.Table) {
	if c != nil {
		c.table = t
		c.SetNames(hosts(t))
	}
}

// hosts are those of the routes of t; "" stands for any.
func hosts(t semper.Table) []string {
	out := make([]string, 0, len(t.Routes)+len(t.Rules))
	for _, list := range [][]semper.Route{t.Routes, t.Rules} {
		for _, r := range list {
			out = append(out, r.Host)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// handler is what the edge's own socket answers: what the edge says, and on GET /v1/certificates how it stands with those.
func (p *plane) handler() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("/", p.edge.Control())
	mux.HandleFunc("GET /v1/certificates", func(w http.ResponseWriter, _ *http.Request) {
		answerJSON(w, p.certs.standings())
	})
	return mux
}

// apiCertificates are those of the API's TCP address; nil without one. It is called what the machine is called.
func apiCertificates(ctx context.Context, d dirs, sockets []handoff.Socket, log *slog.Logger) (*certificates, error) {
	if !slices.ContainsFunc(sockets, func(s handoff.Socket) bool { return s.Name == "apitcp" }) {
		return nil, nil //nolint:nilnil // none is no fault
	}
	return openCertificates(ctx, d, certs.Options{ALPN: []string{"http/1.1"}, Log: log}) // secureListener tells no server of HTTP/2
}

func (c *certificates) config() *tls.Config {
	if c == nil {
		return nil
	}
	return c.TLSConfig()
}
