package control

import (
	"context"
	"time"

	"semper"
	"semper/api"
	"semper/control/certificate"
	"semper/internal/pause"
)

// lookAtCertificates is how often edges are asked how it stands with certificates: theirs change by the minute at most.
const lookAtCertificates = 3 * time.Second

// watchCertificates keeps what is known of certificates current.
func (c *Control) watchCertificates(ctx context.Context) error {
	for ctx.Err() == nil {
		short, cancel := context.WithTimeout(ctx, time.Second)
		list, err := c.o.Edges.Certificates(short)
		cancel()
		if err == nil {
			c.tell(ctx, "certificates", func(m *model) { m.seeCertificates(c, list) })
		}
		pause.For(ctx, lookAtCertificates)
	}
	return nil
}

// seeCertificates takes what edges say of certificates, and tells what has changed. An event that the store does not take is
// told by the next look.
func (m *model) seeCertificates(c *Control, list []api.Certificate) {
	t := m.newChange(time.Now())
	t.events = certificate.Events(m.certs, list, m.table.value, t.now)
	if !t.empty() {
		if err := m.commit(*t); err != nil {
			c.o.Log.Warn("what changed with certificates is not stored; it is tried again", "error", err)
			return
		}
	}
	m.certs = list
	if m.certs == nil {
		m.certs = []api.Certificate{}
	}
}

// Certificates are those of the hosts of all routes.
func (c *Control) Certificates(ctx context.Context) ([]api.Certificate, error) {
	short, cancel := context.WithTimeout(ctx, trafficWithin)
	defer cancel()
	list, err := c.o.Edges.Certificates(short)
	if err != nil {
		return nil, &semper.Error{Code: semper.Unavailable, Op: "certificates", Message: "an edge does not say which certificates it has", Hint: "semper doctor", Err: err}
	}
	return list, nil
}
