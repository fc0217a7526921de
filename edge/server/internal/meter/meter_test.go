package meter

import (
	"io"
	"net"
	"testing"

	"go.uber.org/goleak"
	"golang.org/x/net/http2"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// pair is a client's end, and the server's behind a meter. What the server is told is read away.
func pair(t *testing.T) (client net.Conn, server net.Conn) {
	t.Helper()
	client, below := net.Pipe()
	t.Cleanup(func() { client.Close(); below.Close() })
	return client, New(below)
}

// read reads to the end in pieces of n bytes.
func read(c net.Conn, n int) error {
	p := make([]byte, n)
	for {
		if _, err := c.Read(p); err != nil {
			return err
		}
	}
}

// Whatever pieces its frames come in, a flood ends with GOAWAY, and traffic does not.
func TestFloods(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		send  func(f *http2.Framer, i int) error
		times int
		ends  bool
	}{
		"pings":   {func(f *http2.Framer, _ int) error { return f.WritePing(false, [8]byte{}) }, 5000, true},
		"some":    {func(f *http2.Framer, _ int) error { return f.WritePing(false, [8]byte{}) }, 1000, false},
		"empty":   {func(f *http2.Framer, _ int) error { return f.WriteData(1, false, nil) }, 5000, true},
		"resets":  {func(f *http2.Framer, i int) error { return f.WriteRSTStream(uint32(2*i+1), http2.ErrCodeCancel) }, 5000, true},
		"windows": {func(f *http2.Framer, _ int) error { return f.WriteWindowUpdate(0, 1) }, 5000, true},
		"content": {func(f *http2.Framer, _ int) error { return f.WriteData(1, false, []byte("x")) }, 20_000, false},
		"requests": {func(f *http2.Framer, i int) error {
			return f.WriteHeaders(http2.HeadersFrameParam{StreamID: uint32(2*i + 1), BlockFragment: []byte{0x82}, EndHeaders: true, EndStream: true})
		}, 20_000, false},
	} {
		for _, size := range []int{1, 7, 4096} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				client, server := pair(t)
				sent := make(chan bool, 1)
				go func() {
					io.WriteString(client, http2.ClientPreface)
					f := http2.NewFramer(client, nil)
					for i := range c.times {
						if c.send(f, i) != nil {
							break
						}
					}
					client.Close()
				}()
				told := make(chan error, 1)
				go func() {
					err := read(server, size)
					server.Close()
					told <- err
				}()
				go func() {
					frame, err := http2.NewFramer(nil, client).ReadFrame()
					away, ok := frame.(*http2.GoAwayFrame)
					sent <- err == nil && ok && away.ErrCode == http2.ErrCodeEnhanceYourCalm
				}()
				if err := <-told; (err == errCalm) != c.ends {
					t.Errorf("%v", err)
				}
				if got := <-sent; got != c.ends {
					t.Errorf("told to be calm: %v", got)
				}
			})
		}
	}
}

// Who gets answers opens windows for them, and measures; that is in order.
func TestWorkInProportion(t *testing.T) {
	t.Parallel()
	client, server := pair(t)
	done := make(chan error, 1)
	go func() { done <- read(server, 4096) }()
	io.WriteString(client, http2.ClientPreface)
	f, back := http2.NewFramer(client, nil), http2.NewFramer(server, nil)
	for range 10_000 {
		go io.ReadFull(client, make([]byte, 10))
		if err := back.WriteData(1, false, []byte("x")); err != nil {
			t.Fatal(err)
		}
		if f.WriteWindowUpdate(0, 1) != nil || f.WriteWindowUpdate(1, 1) != nil || f.WritePing(false, [8]byte{}) != nil {
			t.Fatal("ended")
		}
	}
	client.Close()
	if err := <-done; err == errCalm {
		t.Error(err)
	}
}
