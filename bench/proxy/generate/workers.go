package generate

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"time"
)

// work calls do in n goroutines again and again, each once at least and until d is over, and adds up. A worker finishes what it has begun,
// so that what was counted is what was done.
func work(ctx context.Context, n int, d time.Duration, do func(context.Context) (worker, error)) (Count, error) {
	outer := ctx
	ctx, cancel := context.WithCancel(outer)
	defer cancel()
	var group sync.WaitGroup
	counts, errs := make([]Count, n), make([]error, n)
	began := time.Now()
	for i := range n {
		group.Go(func() {
			defer cancelOnError(&errs[i], cancel)
			w, err := do(ctx)
			if err != nil {
				errs[i] = err
				return
			}
			defer w.Close() //nolint:errcheck // nothing is left to be written
			for first := true; ctx.Err() == nil && (first || time.Since(began) < d); first = false {
				bytes, err := w.once()
				if err != nil {
					errs[i] = err
					return
				}
				counts[i].Requests++
				counts[i].Bytes += bytes
			}
		})
	}
	group.Wait()
	sum := Count{Elapsed: time.Since(began)}
	for _, c := range counts {
		sum.Requests += c.Requests
		sum.Bytes += c.Bytes
	}
	return sum, errors.Join(append(errs, outer.Err())...)
}

func cancelOnError(err *error, cancel func()) {
	if *err != nil {
		cancel()
	}
}

// A worker does one piece of work after the other.
type worker interface {
	io.Closer
	once() (bodyBytes int64, err error)
}

// deadline of one piece of work.
const deadline = time.Minute

// Handshakes makes new TLS connections, each for one request, without tickets of earlier ones. All use X25519: a hybrid key exchange that
// only some contenders know would be compared with one that is not.
func Handshakes(ctx context.Context, address string, concurrent int, d time.Duration) (Count, error) {
	config := &tls.Config{InsecureSkipVerify: true, CurvePreferences: []tls.CurveID{tls.X25519}, MinVersion: tls.VersionTLS13} //nolint:gosec // of this run's own making
	return work(ctx, concurrent, d, func(context.Context) (worker, error) { return &handshaker{address, config}, nil })
}

type handshaker struct {
	address string
	config  *tls.Config
}

func (*handshaker) Close() error { return nil }

func (h *handshaker) once() (int64, error) {
	plain, err := net.Dial("tcp", h.address)
	if err != nil {
		return 0, err
	}
	defer plain.Close()
	if err := plain.SetDeadline(time.Now().Add(deadline)); err != nil {
		return 0, err
	}
	c := tls.Client(plain, h.config)
	if _, err := io.WriteString(c, "GET / HTTP/1.1\r\nHost: "+h.address+"\r\nConnection: close\r\n\r\n"); err != nil {
		return 0, fmt.Errorf("tls handshake: %w", err)
	}
	if c.ConnectionState().DidResume {
		return 0, errors.New("a handshake was a resumption: it should have been a new one")
	}
	resp, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close() //nolint:errcheck // only read
	return finish(resp, io.Discard)
}

// finish reads the body to its end. The status must be 200.
func finish(resp *http.Response, to io.Writer) (int64, error) {
	n, err := io.Copy(to, resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("status %d, want 200", resp.StatusCode)
	}
	return n, err
}

// Download fetches path over kept connections, and counts the bytes of bodies. Each must have size bytes.
func Download(ctx context.Context, address, path string, size int64, connections int, d time.Duration) (Count, error) {
	head := "GET " + path + " HTTP/1.1\r\nHost: " + address + "\r\n\r\n"
	return work(ctx, connections, d, func(ctx context.Context) (worker, error) { return dial(ctx, address, head, 0, size) })
}

// Upload sends size bytes to path, again and again, over kept connections.
func Upload(ctx context.Context, address, path string, size int64, connections int, d time.Duration) (Count, error) {
	head := fmt.Sprintf("PUT %s HTTP/1.1\r\nHost: %s\r\nContent-Length: %d\r\n\r\n", path, address, size)
	return work(ctx, connections, d, func(ctx context.Context) (worker, error) { return dial(ctx, address, head, size, -1) })
}

// zeros is what uploads are made of, in large pieces so that the generator is not what is slow.
var zeros [256 << 10]byte

// transfer is one kept connection.
type transfer struct {
	net.Conn
	in   *bufio.Reader
	head string
	up   int64 // bytes of the request's body
	down int64 // bytes that the answer's body must have; negative: as many as there are, and they do not count
	buf  []byte
}

func dial(ctx context.Context, address, head string, up, down int64) (*transfer, error) {
	c, err := new(net.Dialer).DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	return &transfer{Conn: c, in: bufio.NewReaderSize(c, 16<<10), head: head, up: up, down: down, buf: make([]byte, 256<<10)}, nil
}

func (t *transfer) once() (int64, error) {
	if err := t.SetDeadline(time.Now().Add(deadline)); err != nil {
		return 0, err
	}
	if _, err := io.WriteString(t.Conn, t.head); err != nil {
		return 0, err
	}
	for left := t.up; left > 0; {
		n, err := t.Write(zeros[:min(left, int64(len(zeros)))])
		if err != nil {
			return 0, fmt.Errorf("upload, with %d of %d bytes to go: %w", left, t.up, err)
		}
		left -= int64(n)
	}
	resp, err := http.ReadResponse(t.in, nil)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close() //nolint:errcheck // only read
	var got int64
	for err == nil {
		var n int
		n, err = resp.Body.Read(t.buf)
		got += int64(n)
	}
	switch {
	case !errors.Is(err, io.EOF):
		return 0, err
	case resp.StatusCode != http.StatusOK:
		return 0, fmt.Errorf("status %d, want 200", resp.StatusCode)
	case t.down >= 0 && got != t.down:
		return 0, fmt.Errorf("%d bytes came, want %d", got, t.down)
	}
	if t.down < 0 {
		got = t.up
	}
	return got, nil
}
