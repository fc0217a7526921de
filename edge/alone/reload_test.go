package alone

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// TestReloadOfWhomToTrust changes it with the route in one file, over one connection and one that begins with a PROXY header.
func TestReloadOfWhomToTrust(t *testing.T) {
	t.Parallel()
	drivers(t, func(t *testing.T, driver string) {
		const file = "listeners: [127.0.0.1:0, {http: 127.0.0.1:0, proxy_protocol: true}]\ntrusted: [%s]\npools: {one: %s, two: %s}\nroutes: [{to: %s}]\n"
		one, two := app(t, "one"), app(t, "two")
		r := launch(t, fmt.Sprintf(file, "127.0.0.1", one, two, "one"), "-driver", driver)
		at := r.ready()["http"]
		c, err := net.Dial("tcp", at[0]) // one connection all the time
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		answers := bufio.NewReader(c)
		saw := func(want string) {
			t.Helper()
			fmt.Fprint(c, "GET /x HTTP/1.1\r\nHost: h\r\nX-Forwarded-For: 203.0.113.9\r\n\r\n")
			resp, err := http.ReadResponse(answers, nil)
			if err != nil {
				t.Fatal(err)
			}
			if got := readAll(t, resp) + ": " + resp.Header.Get("X-Saw"); got != want {
				t.Errorf("%q, not %q", got, want)
			}
		}
		proxied := func() string {
			c, err := net.Dial("tcp", at[1])
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			io.WriteString(c, "PROXY TCP4 203.0.113.7 192.0.2.1 1234 80\r\nGET /p HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
			b, _ := io.ReadAll(c) // reset by whoever does not believe it
			return string(b)
		}
		saw("one /x: 203.0.113.9, 127.0.0.1 http h")
		if got := proxied(); !strings.Contains(got, "one /p") {
			t.Errorf("%q", got)
		}
		r.write("edge.yaml", fmt.Sprintf(file, "192.0.2.0/24", one, two, "two"))
		r.signal(syscall.SIGHUP)
		if again := r.ready()["http"]; again[0] != at[0] {
			t.Errorf("moved from %v to %v", at, again)
		}
		saw("two /x: 127.0.0.1 http h")
		if got := proxied(); got != "" {
			t.Errorf("whoever is not trusted any more was answered: %q", got)
		}
		r.write("edge.yaml", fmt.Sprintf(file, "127.0.0.0/8", one, two, "two"))
		r.signal(syscall.SIGHUP)
		r.ready()
		saw("two /x: 203.0.113.9, 127.0.0.1 http h")
	})
}

// TestReloadOfTheLog has it elsewhere, in another form, nowhere and back, under load: each request has a line in one file.
func TestReloadOfTheLog(t *testing.T) {
	t.Parallel()
	drivers(t, func(t *testing.T, driver string) {
		const file = "listeners: 127.0.0.1:0\n%s\npools: {app: %s}\nroutes: [{to: app}]\n"
		upstream := app(t, "a")
		r := launch(t, fmt.Sprintf(file, "log: {access: 0.log}", upstream), "-driver", driver)
		at := r.ready()["http"][0]
		var load sync.WaitGroup
		var asked atomic.Int64
		stop := make(chan struct{})
		for i := range 3 {
			c := client(t)
			load.Go(func() {
				for n := 0; ; n++ {
					select {
					case <-stop:
						return
					default:
					}
					resp, err := c.Get(fmt.Sprintf("http://%s/%d-%d-", at, i, n))
					if err != nil {
						t.Error(err)
						return
					}
					io.Copy(io.Discard, resp.Body)
					resp.Body.Close()
					asked.Add(1)
				}
			})
		}
		change := func(log string) {
			r.write("edge.yaml", fmt.Sprintf(file, log, upstream))
			r.signal(syscall.SIGHUP)
			r.ready()
			before := asked.Load()
			eventually(t, func() bool { return t.Failed() || asked.Load() > before+20 })
		}
		for n := 1; n <= 6; n++ {
			change(fmt.Sprintf("log: {access: %d.log, format: %s}", n, []string{"json", "combined"}[n%2]))
		}
		r.write("edge.yaml", fmt.Sprintf(file, "log: {access: no/such/directory.log}", upstream))
		r.signal(syscall.SIGHUP)
		r.says("not reloaded: open access log")
		close(stop)
		load.Wait()
		total := asked.Load()
		change2 := func(log string) { // nobody asks
			r.write("edge.yaml", fmt.Sprintf(file, log, upstream))
			r.signal(syscall.SIGHUP)
			r.ready()
		}
		change2("")
		wants(t, client(t), "http://"+at+"/unseen", "a /unseen")
		change2("log: 7.log")
		wants(t, client(t), "http://"+at+"/seen", "a /seen")
		r.signal(syscall.SIGTERM)
		if code := r.ends(); code != 0 {
			t.Errorf("exit code %d", code)
		}
		lines := map[string]int{}
		for n := range 8 {
			b, err := os.ReadFile(filepath.Join(r.dir, fmt.Sprintf("%d.log", n)))
			if err != nil {
				t.Fatal(err)
			}
			for line := range strings.Lines(string(b)) {
				if (line[0] == '{') != (n%2 == 0 || n == 7) {
					t.Errorf("%d.log: %q is in the wrong form", n, line)
				}
				before := `"GET `
				if n%2 == 0 || n == 7 {
					before = `"target":"`
				}
				_, target, _ := strings.Cut(line, before)
				lines[strings.FieldsFunc(target, func(c rune) bool { return c == ' ' || c == '"' })[0]]++
			}
		}
		if int64(len(lines)) != total+1 || lines["/seen"] != 1 || lines["/unseen"] != 0 {
			t.Errorf("%d requests of %d have a line; seen %d, unseen %d", len(lines), total+1, lines["/seen"], lines["/unseen"])
		}
		for target, n := range lines {
			if n != 1 {
				t.Errorf("%s has %d lines", target, n)
			}
		}
	})
}

// TestReloadOfListeners opens and closes addresses under load on one that stays. Nobody who could connect is turned away.
func TestReloadOfListeners(t *testing.T) {
	t.Parallel()
	drivers(t, func(t *testing.T, driver string) {
		const file = "listeners: [127.0.0.1:0%s]\npools: {app: %s}\nroutes: [{to: app}]\n"
		upstream := app(t, "a")
		r := launch(t, strings.ReplaceAll(fmt.Sprintf(file, "", upstream), "DIR", ""), "-driver", driver)
		at := r.ready()["http"][0]
		change := func(more string) map[string][]string {
			r.write("edge.yaml", fmt.Sprintf(file, more, upstream))
			r.signal(syscall.SIGHUP)
			return r.ready()
		}
		for round := range 10 {
			path := filepath.Join(r.dir, fmt.Sprintf("%d.sock", round))
			change(", {unix: " + path + "}")
			var waiting []net.Conn
			for range 20 { // more than can be accepted at once; some wait while the listener goes
				c, err := net.Dial("unix", path)
				if err != nil {
					t.Fatal(err)
				}
				defer c.Close()
				fmt.Fprint(c, "GET /w HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
				waiting = append(waiting, c)
			}
			if again := change("")["http"][0]; again != at {
				t.Fatalf("moved from %s to %s", at, again)
			}
			for i, c := range waiting {
				b, err := io.ReadAll(c)
				if err != nil || !strings.Contains(string(b), "a /w") {
					t.Errorf("round %d, connection %d of a listener that went: %v %q", round, i, err, b)
				}
			}
			if c, err := net.Dial("unix", path); err == nil {
				c.Close()
				t.Error("the address is open, and no file names it")
			}
			wants(t, client(t), "http://"+at+"/", "a /")
		}
	})
}

// TestLast takes who waits at a socket, whoever has stopped accepting there, and then says that it is closed.
func TestLast(t *testing.T) {
	t.Parallel()
	d, err := bindNew(listener{key: "x", Listener: listenerAt("127.0.0.1:0")})
	if err != nil {
		t.Fatal(err)
	}
	var clients []net.Conn
	for range 5 {
		c, err := net.Dial("tcp", d.Addr())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		clients = append(clients, c)
	}
	l, err := newLast(d)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	for range clients {
		c, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		io.WriteString(c, "hello")
		c.Close()
	}
	if _, err := l.Accept(); err == nil {
		t.Error("a sixth one came")
	}
	for _, c := range clients {
		if b, err := io.ReadAll(c); err != nil || string(b) != "hello" {
			t.Errorf("%v %q", err, b)
		}
	}
}

// TestReloadOfCertificates shows the certificate that is in the file by then; one that cannot be used changes nothing.
func TestReloadOfCertificates(t *testing.T) {
	t.Parallel()
	drivers(t, func(t *testing.T, driver string) {
		ca := newAuthority(t)
		ca.server("shop", "shop.test")
		r := launch(t, strings.ReplaceAll(fmt.Sprintf("listeners: {https: 127.0.0.1:0}\ncertificates: [{cert: CA/shop.pem, key: CA/shop.key}]\npools: {app: %s}\nroutes: [{to: app}]\n", app(t, "a")), "CA", ca.dir), "-driver", driver)
		at := r.ready()["https"][0]
		kept, err := tls.Dial("tcp", at, &tls.Config{RootCAs: ca.pool(), ServerName: "shop.test"})
		if err != nil {
			t.Fatal(err)
		}
		defer kept.Close()
		shown := func() string {
			t.Helper()
			c, err := shows(ca.pool(), at, "shop.test")
			if err != nil {
				t.Fatal(err)
			}
			return c.SerialNumber.String()
		}
		first := shown()
		ca.server("shop", "shop.test")
		r.signal(syscall.SIGHUP)
		r.ready()
		second := shown()
		if second == first {
			t.Error("the certificate is that of before")
		}
		writeFile(t, filepath.Join(ca.dir, "shop.pem"), "no certificate")
		r.signal(syscall.SIGHUP)
		if said := r.says("not reloaded:"); !strings.Contains(said, "certificate and key cannot be used") {
			t.Error(said)
		}
		if shown() != second {
			t.Error("a file that cannot be used changed the certificate")
		}
		kept.SetDeadline(time.Now().Add(20 * time.Second))
		fmt.Fprint(kept, "GET /k HTTP/1.1\r\nHost: shop.test\r\nConnection: close\r\n\r\n")
		if b, err := io.ReadAll(kept); err != nil || !strings.Contains(string(b), "a /k") {
			t.Errorf("the connection of before: %v %q", err, b)
		}
	})
}
