package traffic

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"time"

	"semper/edge/conformance"
	"semper/edge/conformance/wire"
)

// idField names the exchange to the backend.
const idField = "X-Exchange"

// playWithin bounds a session: one that takes longer hangs.
const playWithin = 20 * time.Second

// A Side is a proxy with a recorder behind it. Safe for concurrent use.
type Side struct {
	Name string
	addr string

	mu      sync.Mutex // guards what follows
	answers map[string]Exchange
	seen    map[string][]*wire.Request // whole ones
}

// NewSide is the proxy at addr, which routes [Host] to backend. The recorder is its own from now on, and must not have
// had a connection yet.
func NewSide(name, addr string, backend *conformance.Recorder) *Side {
	s := &Side{Name: name, addr: addr, answers: make(map[string]Exchange), seen: make(map[string][]*wire.Request)}
	backend.Observe = s.observe
	backend.Begin(s.reply)
	return s
}

// reply is what the recorder answers.
func (s *Side) reply(q *wire.Request) conformance.Reply {
	s.mu.Lock()
	defer s.mu.Unlock()
	e, ok := s.answers[q.Fields.Get(idField)]
	if !ok {
		return conformance.Reply{}
	}
	r := conformance.Reply{Raw: e.Answer}
	switch e.Abort {
	case BackendCloses:
		r.Raw, r.End = e.Answer[:e.At], conformance.Close
	case BackendResets:
		r.Raw, r.End = e.Answer[:e.At], conformance.Reset
	case Whole, ClientCloses, ClientResets:
		if strings.Contains(e.Answer, "\r\nConnection: close\r\n") {
			r.End = conformance.Close
		}
	}
	if r.Raw == "" && r.End == conformance.Close {
		r.Raw = "\r\n" // the recorder's own answer is for no Raw at all
	}
	return r
}

func (s *Side) observe(m conformance.Message) {
	if !m.Whole() {
		return
	}
	id := m.Request.Fields.Get(idField)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.seen[id] = append(s.seen[id], m.Request)
}

// View is what came of an exchange on one side.
type View struct {
	Interim  []*wire.Response
	Answer   *wire.Response // nil when there was none
	Err      error          // why there is none, or why it is not whole
	Requests []*wire.Request
}

// failed reports whether the client knows that it has no answer of the app's.
func (v *View) failed() bool {
	return v.Err != nil || v.Answer == nil || v.Answer.Status/100 == 5 && v.Answer.Status != 500
}

// play sends a session and returns a view for each exchange.
func (s *Side) play(ctx context.Context, session Session) []View {
	s.mu.Lock()
	for _, e := range session.Exchanges {
		s.answers[e.ID] = e
	}
	s.mu.Unlock()
	views := make([]View, len(session.Exchanges))
	for at := 0; at < len(views); {
		at += s.connect(ctx, session, at, views[at:])
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, e := range session.Exchanges {
		views[i].Requests = s.seen[e.ID]
		delete(s.seen, e.ID)
		delete(s.answers, e.ID)
	}
	return views
}

// connect plays a session from one of its exchanges on, over one connection, until an answer ends that. It returns how
// many of them were played.
func (s *Side) connect(ctx context.Context, session Session, from int, views []View) int {
	var d net.Dialer
	conn, err := d.DialContext(ctx, "tcp", s.addr)
	if err != nil {
		views[0].Err = err
		return 1
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(playWithin)) //nolint:errcheck // reads and writes tell
	in := bufio.NewReader(conn)
	rest := session.Exchanges[from:]
	if session.Pipelined && len(rest) > 1 && from == 0 {
		return s.pipeline(conn, in, session, views)
	}
	for i, e := range rest {
		if abort(conn, session, e) {
			return i + 1
		}
		sent := make(chan struct{})
		go func() { // a large request and a large answer may cross
			defer close(sent)
			write(conn, e.Request, session.Writes)
		}()
		more := views[i].read(in, e.Method)
		if !more {
			conn.Close()
		}
		<-sent
		if !more {
			return i + 1
		}
	}
	return len(rest)
}

// pipeline sends all requests but one that the client aborts, and reads the answers meanwhile.
func (s *Side) pipeline(conn net.Conn, in *bufio.Reader, session Session, views []View) int {
	all := session.Exchanges
	if last := all[len(all)-1]; last.Abort == ClientCloses || last.Abort == ClientResets {
		all = all[:len(all)-1]
	}
	var whole strings.Builder
	for _, e := range all {
		whole.WriteString(e.Request)
	}
	sent := make(chan struct{})
	go func() {
		defer close(sent)
		write(conn, whole.String(), session.Writes)
	}()
	n := 0
	for more := true; more && n < len(all); n++ {
		more = views[n].read(in, all[n].Method)
	}
	conn.Close()
	<-sent
	return n
}

// abort sends the part of a request that the client sends before it leaves; false when it does not leave.
func abort(conn net.Conn, session Session, e Exchange) bool {
	if e.Abort != ClientCloses && e.Abort != ClientResets {
		return false
	}
	write(conn, e.Request[:e.At], session.Writes)
	if t, ok := conn.(*net.TCPConn); ok && e.Abort == ClientResets {
		t.SetLinger(0) //nolint:errcheck // then it is a FIN
	}
	return true
}

// write sends data in so many writes. The reader sees what errors mean.
func write(conn net.Conn, data string, writes int) {
	for ; writes > 1 && len(data) > 1; writes-- {
		n := 1 + (len(data)*7+writes*13)%len(data)/2
		if _, err := io.WriteString(conn, data[:n]); err != nil {
			return
		}
		data = data[n:]
	}
	io.WriteString(conn, data) //nolint:errcheck // see above
}

// read reads to the final answer; false when the connection has no more.
func (v *View) read(in *bufio.Reader, method string) bool {
	for {
		p, err := wire.ReadResponse(in, method)
		if p != nil && p.Interim() {
			v.Interim = append(v.Interim, p)
			continue
		}
		v.Answer = p
		if err != nil {
			v.Err = fmt.Errorf("the answer: %w", err)
			if errors.Is(err, io.EOF) {
				v.Err = errors.New("the connection ended without an answer")
			}
			return false
		}
		return !p.Close()
	}
}
