package conformance

import (
	"bytes"
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/tls"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"net"
	"strings"
	"sync"
)

// crypto/tls as a client neither sends early data nor tells whether a ticket allows it. So row 71 reads the tickets
// themselves: it keeps the bytes of a connection and its keys, and opens the server's records once more. A server whose
// tickets do not offer early data rejects it (RFC 8446, 4.2.10).

// errOffered says that the question is open: the server would take early data, and may or may not guard it.
var errOffered = errors.New("the server's tickets offer early data: whether it guards a POST in it this suite cannot send")

// noEarlyData is nil when no ticket that the target gives out offers early data.
func noEarlyData(r *run) error {
	d := net.Dialer{Timeout: r.target.patience()}
	raw, err := d.DialContext(r.ctx, "tcp", r.target.TLS)
	if err != nil {
		return err
	}
	tape := &tapedConn{Conn: raw}
	keys := new(bytes.Buffer)
	config := r.target.tlsConfig(r.target.Host, "http/1.1")
	config.KeyLogWriter = keys
	s := tls.Client(tape, config)
	ctx, cancel := context.WithTimeout(r.ctx, r.target.patience())
	defer cancel()
	if err := s.HandshakeContext(ctx); err != nil {
		raw.Close()
		return fmt.Errorf("TLS handshake with the proxy: %w", err)
	}
	state := s.ConnectionState()
	c := newClient(s, r.target, nil) // tickets come before the first answer, or never
	c.do(r, []Step{send("GET /probe HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n")})
	c.wait(r.target.patience(), func(*Seen, int) bool { return false })
	if seen := c.close(); len(seen.Answers) != 1 {
		return fmt.Errorf("the request that was to bring tickets was not answered: %s", &seen)
	}
	if state.Version < tls.VersionTLS13 {
		return nil // no early data before TLS 1.3
	}
	open, err := opener(state.CipherSuite, keys.String())
	if err != nil {
		return err
	}
	tape.mu.Lock()
	defer tape.mu.Unlock()
	return readTickets(tape.read.Bytes(), open)
}

// tapedConn keeps what is read.
type tapedConn struct {
	net.Conn
	mu   sync.Mutex
	read bytes.Buffer
}

func (c *tapedConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.read.Write(p[:n])
	return n, err
}

// opener decrypts the n-th record of the server's application traffic.
func opener(suite uint16, log string) (func(n uint64, header, record []byte) ([]byte, error), error) {
	h, size := sha256.New, 16
	switch suite {
	case tls.TLS_AES_128_GCM_SHA256:
	case tls.TLS_AES_256_GCM_SHA384:
		h, size = sha512.New384, 32
	default:
		return nil, fmt.Errorf("the tickets cannot be read: the connection has cipher suite %s, not AES-GCM", tls.CipherSuiteName(suite))
	}
	var secret []byte
	for line := range strings.SplitSeq(log, "\n") {
		if f := strings.Fields(line); len(f) == 3 && f[0] == "SERVER_TRAFFIC_SECRET_0" {
			secret, _ = hex.DecodeString(f[2]) //nolint:errcheck // an empty one opens nothing
		}
	}
	key, err := expandLabel(h, secret, "key", size)
	if err != nil {
		return nil, err
	}
	iv, err := expandLabel(h, secret, "iv", 12)
	if err != nil {
		return nil, err
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		return nil, err
	}
	return func(n uint64, header, record []byte) ([]byte, error) {
		nonce := bytes.Clone(iv)
		for i := range 8 {
			nonce[4+i] ^= byte(n >> (56 - 8*i))
		}
		return aead.Open(nil, nonce, record, header)
	}, nil
}

// expandLabel is HKDF-Expand-Label with an empty context (RFC 8446, 7.1).
func expandLabel(h func() hash.Hash, secret []byte, label string, length int) ([]byte, error) {
	label = "tls13 " + label
	info := binary.BigEndian.AppendUint16(nil, uint16(length))
	info = append(append(append(info, byte(len(label))), label...), 0)
	return hkdf.Expand(h, secret, string(info), length)
}

// readTickets walks the server's records; those of the handshake do not open with the key of what comes after it.
func readTickets(tape []byte, open func(uint64, []byte, []byte) ([]byte, error)) error {
	var handshake []byte
	opened := uint64(0)
	for len(tape) >= 5 {
		n := int(binary.BigEndian.Uint16(tape[3:5]))
		if len(tape) < 5+n {
			break
		}
		if plain, err := open(opened, tape[:5], tape[5:5+n]); tape[0] == 23 && err == nil {
			opened++
			plain = bytes.TrimRight(plain, "\x00")
			if k := len(plain) - 1; k >= 0 && plain[k] == 22 {
				handshake = append(handshake, plain[:k]...)
			}
		}
		tape = tape[5+n:]
	}
	if opened == 0 {
		return errors.New("the tickets cannot be read: no record of the server opens with the logged key")
	}
	for len(handshake) >= 4 {
		n := int(handshake[1])<<16 | int(handshake[2])<<8 | int(handshake[3])
		if len(handshake) < 4+n {
			break
		}
		if handshake[0] == 4 && offersEarlyData(handshake[4:4+n]) {
			return errOffered
		}
		handshake = handshake[4+n:]
	}
	return nil
}

// offersEarlyData looks for the extension of a NewSessionTicket (RFC 8446, 4.6.1).
func offersEarlyData(m []byte) bool {
	skip := func(n int) bool {
		if len(m) < n {
			return false
		}
		m = m[n:]
		return true
	}
	if !skip(8) || len(m) < 1 || !skip(1+int(m[0])) || len(m) < 2 || !skip(2+int(binary.BigEndian.Uint16(m))) || !skip(2) {
		return false
	}
	for len(m) >= 4 {
		kind, n := binary.BigEndian.Uint16(m), int(binary.BigEndian.Uint16(m[2:]))
		if kind == 42 {
			return true
		}
		if !skip(4 + n) {
			return false
		}
	}
	return false
}
