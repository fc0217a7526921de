package observer

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

const hello = `{"v":1,"hello":{"pid":4711,"program":"shop"}}` + "\n"

// program is the far end of a connection, in the hands of a test.
type program struct {
	net.Conn
	in *bufio.Reader
}

// meet makes a Conn and its far end, inside a bubble.
func meet(t *testing.T, onCrash func(Crash)) (*Conn, *program) {
	t.Helper()
	near, far := net.Pipe()
	go func() { _, _ = far.Write([]byte(hello)) }()
	c, err := Accept(near, onCrash)
	if err != nil {
		t.Fatal(err)
	}
	return c, &program{far, bufio.NewReader(far)}
}

func (p *program) hears(t *testing.T, want string) {
	t.Helper()
	got, err := p.in.ReadString('\n')
	if err != nil || strings.TrimSpace(got) != want {
		t.Errorf("the program hears %q, %v; want %q", got, err, want)
	}
}

func (p *program) says(format string, args ...any) error {
	_, err := fmt.Fprintf(p, format+"\n", args...)
	return err
}

func TestAcceptRefuses(t *testing.T) {
	t.Parallel()
	for name, first := range map[string]string{
		"another version": `{"v":2,"hello":{"pid":1}}` + "\n",
		"no version":      `{"hello":{"pid":1}}` + "\n",
		"no hello":        `{"v":1}` + "\n",
		"no JSON":         "GET / HTTP/1.1\r\n",
		"no object":       "[]\n",
		"too long":        strings.Repeat(" ", MaxLine+1),
		"half a line":     hello[:20],
		"nothing":         "",
		"too deep":        strings.Repeat("[", maxNesting+1) + "\n",
		"wrong type":      `{"v":"one","hello":{"pid":1}}` + "\n",
	} {
		synctest.Test(t, func(t *testing.T) {
			near, far := net.Pipe()
			go func() { _, _ = far.Write([]byte(first)); far.Close() }()
			if _, err := Accept(near, nil); !errors.Is(err, ErrProtocol) && !errors.Is(err, ErrClosed) {
				t.Errorf("%s: %v", name, err)
			}
			if _, err := far.Write([]byte("x")); err == nil {
				t.Errorf("%s: the connection is still open", name)
			}
		})
	}
}

func TestAcceptDoesNotWaitForEver(t *testing.T) {
	bubble(t, func(t *testing.T) {
		near, far := net.Pipe()
		var drip sync.WaitGroup
		defer drip.Wait()
		drip.Go(func() { // one byte a second
			for _, b := range []byte(hello) {
				if _, err := far.Write([]byte{b}); err != nil {
					return
				}
				time.Sleep(time.Second)
			}
		})
		began := time.Now()
		if _, err := Accept(near, nil); !errors.Is(err, ErrClosed) || time.Since(began) > helloTime {
			t.Errorf("%v after %v", err, time.Since(began))
		}
	})
}

func TestConnAsks(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var crashes []Crash
		c, p := meet(t, func(c Crash) { crashes = append(crashes, c) })
		var asked sync.WaitGroup
		asked.Go(func() {
			if n, err := c.Tree(t.Context()); err != nil || n.ID != "shop" || len(n.Children) != 1 || n.Children[0].Status != "busy" {
				t.Errorf("%+v, %v", n, err)
			}
		})
		p.hears(t, `{"id":1,"want":"tree"}`)
		asked.Go(func() {
			if i, err := c.Process(t.Context(), "<17>"); err != nil || i.State != "s" {
				t.Errorf("%+v, %v", i, err)
			}
		})
		p.hears(t, `{"id":2,"want":"process","pid":"<17>"}`)
		_ = p.says(`{"news":true}`)
		_ = p.says(`{"crash":{"at":"2026-11-21T05:06:04Z","pid":"<17>","reason":"crash","uptime_ns":5,"color":"red"}}`)
		_ = p.says(`{"id":2,"process":{"pid":"<17>","status":"idle","state":"s"}}`) // out of order
		_ = p.says(`{"id":1,"tree":{"id":"shop","kind":"supervisor","state":"running","children":[{"id":"a","kind":"actor","status":"busy"}]}}`)
		asked.Wait()
		if len(crashes) != 1 || crashes[0].Uptime != 5 || crashes[0].PID != "<17>" {
			t.Errorf("%+v", crashes)
		}
		for _, answer := range []string{`{"id":3,"error":"no"}`, `{"id":4}`, `{"id":5,"process":{}}`} {
			asked.Go(func() {
				_, err := c.Tree(t.Context())
				var remote *RemoteError
				if !errors.As(err, &remote) && !errors.Is(err, ErrProtocol) {
					t.Errorf("%s: %v", answer, err)
				}
			})
			_, _ = p.in.ReadString('\n')
			_ = p.says("%s", answer)
			asked.Wait()
		}
		c.Close()
		if _, err := c.Tree(t.Context()); !errors.Is(err, ErrClosed) || !errors.Is(c.Err(), ErrClosed) {
			t.Errorf("after Close: %v", err)
		}
	})
}

func TestConnEndsWhenTheProgramBreaksTheProtocol(t *testing.T) {
	t.Parallel()
	for name, line := range map[string]string{
		"an answer to no question": `{"id":2,"tree":{}}`,
		"too long":                 strings.Repeat("x", MaxLine+1),
		"too deep":                 `{"tree":` + strings.Repeat(`{"children":[`, maxNesting),
		"too many objects":         `{"tree":{"children":[` + strings.Repeat("{},", maxObjects) + `{}]}}`,
		"no JSON":                  "\x00",
		"two objects":              `{}{}`,
		"wrong type":               `{"id":1,"tree":[]}`,
		"not UTF-8 and cut":        "{\"id\":\"\xff",
	} {
		synctest.Test(t, func(t *testing.T) {
			c, p := meet(t, nil)
			asked := make(chan error, 1)
			go func() { _, err := c.Tree(t.Context()); asked <- err }()
			p.hears(t, `{"id":1,"want":"tree"}`)
			_ = p.says("%s", line)
			if err := <-asked; !errors.Is(err, ErrProtocol) {
				t.Errorf("%s: %v", name, err)
			}
			<-c.Done()
			if _, err := p.Write([]byte("x")); err == nil {
				t.Errorf("%s: the connection is still open", name)
			}
		})
	}
}

func TestConnOfAProgramThatDoesNotAnswer(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c, p := meet(t, nil)
		go func() { _, _ = io.Copy(io.Discard, p.in) }()
		for range maxOpen {
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			if _, err := c.Tree(ctx); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("%v", err)
			}
			cancel()
		}
		if _, err := c.Tree(t.Context()); !errors.Is(err, ErrBusy) {
			t.Errorf("with %d answers owed: %v", maxOpen, err)
		}
		for i := range maxOpen { // late, to nobody
			_ = p.says(`{"id":%d,"tree":{}}`, i+1)
		}
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := c.Tree(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("when they came late: %v", err)
		}
		if len(c.open) != 1 {
			t.Errorf("%d questions are remembered", len(c.open))
		}
		p.Close()
		c.Close()
	})
}

func TestConnOfAProgramThatDoesNotRead(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c, p := meet(t, nil) // a pipe has no buffer: the first question does not get through
		defer p.Close()
		first := make(chan error, 1)
		go func() { _, err := c.Tree(t.Context()); first <- err }()
		synctest.Wait()
		began := time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := c.Tree(ctx); !errors.Is(err, context.DeadlineExceeded) || time.Since(began) != time.Second {
			t.Errorf("the second waits %v: %v", time.Since(began), err)
		}
		if err := <-first; !errors.Is(err, ErrClosed) || time.Since(began) > writeTime {
			t.Errorf("the first waits %v: %v", time.Since(began), err)
		}
		<-c.Done()
	})
}

func TestConnIsClosedByTheProgramInTheMiddle(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c, p := meet(t, nil)
		asked := make(chan error, 1)
		go func() { _, err := c.Tree(t.Context()); asked <- err }()
		p.hears(t, `{"id":1,"want":"tree"}`)
		_, _ = p.Write([]byte(`{"id":1,"tr`))
		p.Close()
		if err := <-asked; !errors.Is(err, ErrClosed) {
			t.Errorf("%v", err)
		}
		<-c.Done()
	})
}

// A program that sends without end gets so much of semper's time and no more: it is read at a limited pace.
func TestConnPacesAFlood(t *testing.T) {
	bubble(t, func(t *testing.T) {
		n := 0
		c, p := meet(t, func(Crash) { n++ })
		began := time.Now()
		go func() {
			for p.says(`{"crash":{"reason":"again"}}`) == nil {
				continue
			}
		}()
		time.Sleep(10 * time.Second)
		c.Close()
		most := int((time.Since(began).Seconds() + 1) * paceBytes / lineCost)
		if n > most || n < most/4 {
			t.Errorf("%d reports in 10 s, at most %d are to be read", n, most)
		}
	})
}

// What a line becomes in memory is bounded, however it is made.
func TestLinesDoNotBloat(t *testing.T) {
	for name, line := range map[string]string{
		"nodes":   `{"id":1,"tree":{"children":[` + strings.Repeat("{},", maxObjects-10) + `{}]}}`,
		"strings": `{"id":1,"tree":{"blocking":[` + strings.Repeat(`"",`, MaxLine/3-20) + `""]}}`,
		"unknown": `{"x":[` + strings.Repeat("1,", MaxLine/2-20) + `1]}`,
		"again":   `{"tree":{` + strings.Repeat(`"children":[{},{}],`, 6000) + `"id":"x"}}`,
	} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		m, err := decode([]byte(line))
		runtime.ReadMemStats(&after)
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if grown := after.TotalAlloc - before.TotalAlloc; grown > 64<<20 {
			t.Errorf("%s: a line of %d bytes became %d", name, len(line), grown)
		}
		runtime.KeepAlive(m)
	}
}
