package alone

import (
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"semper/edge"
)

// drivers runs a test with each.
func drivers(t *testing.T, test func(t *testing.T, driver string)) {
	t.Helper()
	for _, d := range []edge.Driver{edge.Loops, edge.Goroutines} {
		t.Run(string(d), func(t *testing.T) {
			t.Parallel()
			test(t, string(d))
		})
	}
}

func TestEveryKindOfListener(t *testing.T) {
	t.Parallel()
	drivers(t, func(t *testing.T, driver string) {
		r := launch(t, fmt.Sprintf(`
listeners: ["127.0.0.1:0", {https: "127.0.0.1:0"}, {unix: DIR/edge.sock}, {http: "127.0.0.1:0", proxy_protocol: true}]
trusted: 127.0.0.1
certificates: [{self_signed: localhost}]
pools: {app: %s}
routes: [{to: app}]
`, app(t, "a")), "-driver", driver)
		at := r.ready()
		wants(t, client(t), "http://"+at["http"][0]+"/x?y", "a /x?y")
		wants(t, overUnix(t, at["unix"][0]), "http://edge/u", "a /u")

		h2 := &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, ForceAttemptHTTP2: true}
		t.Cleanup(h2.CloseIdleConnections)
		resp, err := (&http.Client{Transport: h2}).Get("https://" + at["https"][0] + "/s")
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if saw := resp.Header.Get("X-Saw"); resp.ProtoMajor != 2 || !strings.Contains(saw, "https") {
			t.Errorf("HTTP/%d, the app saw %q", resp.ProtoMajor, saw)
		}

		c, err := net.Dial("tcp", at["http"][1])
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		io.WriteString(c, "PROXY TCP4 203.0.113.7 192.0.2.1 1234 80\r\nGET /p HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
		b, err := io.ReadAll(c)
		if err != nil || !strings.Contains(string(b), "X-Saw: 203.0.113.7 http x\r\n") {
			t.Errorf("%v\n%s", err, b)
		}
		r.signal(syscall.SIGTERM)
		if code := r.ends(); code != 0 {
			t.Errorf("exit code %d", code)
		}
		if _, err := os.Stat(filepath.Join(r.dir, "edge.sock")); err == nil {
			t.Error("the socket's file is still there")
		}
	})
}

func TestReload(t *testing.T) {
	t.Parallel()
	const file = `
listeners: [%s]
pools: {one: %s, two: %s}
routes: [{to: %s}]
`
	one, two := app(t, "one"), app(t, "two")
	r := launch(t, fmt.Sprintf(file, `"127.0.0.1:0", {unix: DIR/a.sock}`, one, two, "one"))
	at := r.ready()["http"][0]
	c := client(t)
	wants(t, c, "http://"+at+"/", "one /")

	yaml := func(listeners, to string) {
		r.write("edge.yaml", strings.ReplaceAll(fmt.Sprintf(file, listeners, one, two, to), "DIR", r.dir))
		r.signal(syscall.SIGHUP)
	}
	yaml(`"127.0.0.1:0", {unix: DIR/b.sock}`, "two")
	if again := r.ready()["http"][0]; again != at {
		t.Errorf("the listener moved from %s to %s", at, again)
	}
	wants(t, c, "http://"+at+"/", "two /")
	wants(t, overUnix(t, filepath.Join(r.dir, "b.sock")), "http://x/", "two /")
	if _, err := os.Stat(filepath.Join(r.dir, "a.sock")); err == nil {
		t.Error("a.sock is still there, and no file names it")
	}

	for wrong, want := range map[string]string{
		"three":           `edge.yaml:4:15: there is no pool "three"`,
		"one, proxy: yes": `unknown key "proxy"`,
	} {
		yaml(`"127.0.0.1:0"`, wrong)
		if said := r.says("not reloaded:"); !strings.Contains(said, want) {
			t.Errorf("%q, not %q", said, want)
		}
		wants(t, c, "http://"+at+"/", "two /")
	}
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	yaml(fmt.Sprintf(`"127.0.0.1:0", {unix: DIR/c.sock}, %q`, taken.Addr()), "one")
	if said := r.says("not reloaded:"); !strings.Contains(said, "address already in use") {
		t.Error(said)
	}
	if _, err := os.Stat(filepath.Join(r.dir, "c.sock")); err == nil {
		t.Error("c.sock was bound for a change that was not made, and is still there")
	}
	wants(t, c, "http://"+at+"/", "two /")
	wants(t, overUnix(t, filepath.Join(r.dir, "b.sock")), "http://x/", "two /")
}

func TestAnUpgradeThatFailsChangesNothing(t *testing.T) {
	t.Parallel()
	r := launch(t, fmt.Sprintf("listeners: 127.0.0.1:0\npools: {app: %s}\nroutes: [{to: app}]\n", app(t, "a")))
	at := r.ready()["http"][0]
	r.write("edge.yaml", "routes: [{}]\n")
	r.signal(syscall.SIGUSR2)
	r.says("the route does nothing")
	r.says("not upgraded: the new process ended: exit status 1")
	wants(t, client(t), "http://"+at+"/", "a /")
	r.signal(syscall.SIGTERM)
	if code := r.ends(); code != 0 {
		t.Errorf("exit code %d", code)
	}
}

// TestDrain has a request in flight when the end is asked for, once and twice.
func TestDrain(t *testing.T) {
	t.Parallel()
	for _, signals := range []int{1, 2} {
		drivers(t, func(t *testing.T, driver string) {
			came, go1 := make(chan struct{}), make(chan struct{})
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			slow := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				close(came)
				<-go1
				io.WriteString(w, "late")
			})}
			go slow.Serve(l)
			t.Cleanup(func() { slow.Close() })
			r := launch(t, fmt.Sprintf("listeners: 127.0.0.1:0\npools: {app: %s}\nroutes: [{to: app}]\n", l.Addr()), "-driver", driver)
			at := r.ready()["http"][0]
			answer := make(chan string, 1)
			go func() {
				resp, err := http.Get("http://" + at + "/")
				if err != nil {
					answer <- err.Error()
					return
				}
				b, _ := io.ReadAll(resp.Body)
				resp.Body.Close()
				answer <- string(b)
			}()
			<-came
			r.signal(syscall.SIGTERM)
			if signals == 2 {
				r.signal(syscall.SIGINT)
				if code := r.ends(); code != 0 {
					t.Errorf("exit code %d", code)
				}
				if got := <-answer; got == "late" {
					t.Errorf("the second signal cut nothing: %q", got)
				}
				close(go1)
				return
			}
			close(go1)
			if got := <-answer; got != "late" {
				t.Errorf("the request in flight got %q", got)
			}
			if code := r.ends(); code != 0 {
				t.Errorf("exit code %d", code)
			}
			http.DefaultClient.CloseIdleConnections()
		})
	}
}

func TestSeeing(t *testing.T) {
	t.Parallel()
	r := launch(t, fmt.Sprintf("listeners: 127.0.0.1:0\nlog: {access: access.log, format: combined}\npools: {app: %s}\nroutes: [{to: app}, {path: /healthz, respond: 204, access_log: off}, {path: /quiet, to: app, access_log: off}]\n", app(t, "a")), "-metrics", "127.0.0.1:0")
	at := r.ready()
	c := client(t)
	path := filepath.Join(r.dir, "access.log")
	for i, name := range []string{"/one", "/two"} {
		get(t, c, "http://"+at["http"][0]+"/healthz")
		wants(t, c, "http://"+at["http"][0]+"/quiet", "a /quiet")
		wants(t, c, "http://"+at["http"][0]+name, "a "+name)
		eventually(t, func() bool {
			b, err := os.ReadFile(path)
			return err == nil && strings.Contains(string(b), `"GET `+name+` HTTP/1.1" 200`)
		})
		if i == 0 {
			if err := os.Rename(path, path+".1"); err != nil {
				t.Fatal(err)
			}
			r.signal(syscall.SIGUSR1)
			eventually(t, func() bool {
				_, err := os.Stat(path)
				return err == nil
			})
		}
	}
	if b, err := os.ReadFile(path); err != nil || strings.Contains(string(b), "healthz") || strings.Contains(string(b), "quiet") {
		t.Errorf("what should not be logged is, or nothing: %v\n%s", err, b)
	}
	status, text, _ := get(t, c, "http://"+at["metrics"][0]+"/metrics")
	if status != http.StatusOK || !strings.Contains(text, `http_response_status_code="200"`) {
		t.Errorf("%d\n%s", status, text)
	}
}

func TestStartRefused(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"pools: {app: 127.0.0.1:9}\nroutes: [{to: app}]\n":                                  `the edge listens nowhere`,
		"listeners: :0\npools: {app: 127.0.0.1:9}\nroutes: [{to: other}]\n":                 `there is no pool "other"`,
		"listeners: {unix: /proc/nobody}\npools: {app: 127.0.0.1:9}\nroutes: [{to: app}]\n": `listen at /proc/nobody`,
	} {
		r := launch(t, text)
		r.says(want)
		if code := r.ends(); code != 1 {
			t.Errorf("%q: exit code %d", text, code)
		}
	}
}
