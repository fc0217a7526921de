package contender

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"semper/bench/proxy/proc"
	"semper/bench/rig"
	"semper/edge/routefile"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func setup(network, address string) Setup {
	return Setup{Dir: "/d", HTTP: "127.0.0.1:81", HTTPS: "127.0.0.1:82", Upstream: Upstream{network, address}, Cert: "/c.pem", Room: Room{1000, 1000}}
}

func TestBodyIsOf128Bytes(t *testing.T) {
	t.Parallel()
	if len(Body) != 128 {
		t.Errorf("%d bytes", len(Body))
	}
}

// TestEveryTextHasTheWholeSetup finds a placeholder that was forgotten, and a value that went nowhere.
func TestEveryTextHasTheWholeSetup(t *testing.T) {
	t.Parallel()
	for _, s := range []Setup{setup("tcp", "127.0.0.1:99"), setup("unix", "/the/socket")} {
		for _, logged := range []bool{false, true} {
			s.AccessLog = logged
			for name, text := range map[string]string{Nginx: nginxText(s), HAProxy: haproxyText(s), Caddy: caddyText(s), Semper: semperText(s)} {
				for _, want := range []string{s.HTTP, s.HTTPS, s.Upstream.Address, s.Cert, "512"} {
					if name == HAProxy && want == "512" {
						continue // it keeps as many as there are, by http-reuse always
					}
					if !strings.Contains(text, want) {
						t.Errorf("%s has no %s:\n%s", name, want, text)
					}
				}
				for _, forgotten := range []string{"ADDRESS", "UPSTREAM", "LOG", "CERT", "HOST", "MAXIMUM", "DESCRIPTORS", "CONNECTIONS"} {
					if strings.Contains(strings.ReplaceAll(text, "%[req.hdr(Host)]", ""), forgotten) {
						t.Errorf("%s still has %s:\n%s", name, forgotten, text)
					}
				}
				if has := strings.Contains(text, s.logFile()) || strings.Contains(text, "option httplog"); has != logged {
					t.Errorf("%s has an access log: %v, want %v", name, has, logged)
				}
			}
		}
	}
}

// TestTheProgramsTakeTheirTexts asks those that are installed.
func TestTheProgramsTakeTheirTexts(t *testing.T) {
	t.Parallel()
	cert := filepath.Join(t.TempDir(), "cert.pem")
	if err := WriteCert(cert); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		file  string
		text  func(Setup) string
		judge []string
	}{
		Nginx:   {"nginx.conf", nginxText, []string{"-t", "-e", "stderr", "-p"}},
		HAProxy: {"haproxy.cfg", haproxyText, []string{"-c", "-f"}},
	} {
		for _, network := range []string{"tcp", "unix"} {
			t.Run(name+"/"+network, func(t *testing.T) {
				t.Parallel()
				path, err := look(name, name)(t.Context())
				if err != nil {
					t.Skip(err)
				}
				s := setup(network, map[string]string{"tcp": "127.0.0.1:99", "unix": "/the/socket"}[network])
				s.Dir, s.Cert, s.AccessLog = t.TempDir(), cert, true
				file := s.file(c.file)
				if err := errors.Join(os.WriteFile(file, []byte(c.text(s)), 0o644), os.Mkdir(s.file("tmp"), 0o755)); err != nil {
					t.Fatal(err)
				}
				args := append(c.judge, file)
				if name == Nginx {
					args = append(c.judge, s.Dir, "-c", file)
				}
				if text, err := exec.CommandContext(t.Context(), path, args...).CombinedOutput(); err != nil && !strings.Contains(string(text), "Address already in use") {
					t.Errorf("%v\n%s", err, text)
				}
			})
		}
	}
}

// TestTheEdgeTakesItsText reads it as `semper edge run` does, so that the two cannot drift apart.
func TestTheEdgeTakesItsText(t *testing.T) {
	t.Parallel()
	for network, address := range map[string]string{"tcp": "127.0.0.1:99", "unix": "/the/socket"} {
		s := setup(network, address)
		s.Dir, s.AccessLog = t.TempDir(), true
		s.Cert = s.file("cert.pem")
		if err := errors.Join(WriteCert(s.Cert), os.WriteFile(s.file("routes.yaml"), []byte(semperText(s)), 0o644)); err != nil {
			t.Fatal(err)
		}
		f, err := routefile.Load(s.file("routes.yaml"))
		if err != nil {
			t.Fatal(err)
		}
		if len(f.Listeners) != 2 || len(f.Certificates) != 1 || f.Log.Access != s.logFile() || f.Pools["app"].Keepalive.Idle != 512 {
			t.Errorf("read as %+v", f)
		}
	}
}

// TestNginxIsWhatCheckWants runs the backend and nginx before it, and then a proxy that does less, which must not pass.
func TestNginxIsWhatCheckWants(t *testing.T) {
	t.Parallel()
	c := nginx()
	if err := c.Find(t.Context()); err != nil {
		t.Skip(err)
	}
	if _, err := exec.LookPath("taskset"); err != nil {
		t.Skip("no taskset here: apt-get install util-linux")
	}
	dir, err := os.MkdirTemp("", "px") // short: the path of a unix socket has a limit
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	address := backend(t, c.Path, dir)
	cert := filepath.Join(dir, "cert.pem")
	if err := WriteCert(cert); err != nil {
		t.Fatal(err)
	}
	for _, u := range []Upstream{{"tcp", address}, {"unix", filepath.Join(dir, "s")}} {
		r, err := c.Start(t.Context(), core(t), Setup{Dir: filepath.Join(dir, u.Network), Upstream: u, Cert: cert, AccessLog: true, Room: Room{1000, 1000}})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(r.Stop)
		if err := Check(t.Context(), r, true, true); err != nil {
			t.Error(err)
		}
	}
	bare := &Running{Name: "bare", Setup: Setup{HTTP: address, HTTPS: address}}
	if err := Check(t.Context(), bare, true, false); err == nil || !strings.Contains(err.Error(), "X-Forwarded-For") {
		t.Errorf("the backend alone passes for a proxy: %v", err)
	}
}

func core(t *testing.T) int {
	t.Helper()
	text, err := exec.CommandContext(t.Context(), "taskset", "-cp", fmt.Sprint(os.Getpid())).Output()
	if err != nil {
		t.Fatal(err)
	}
	list := strings.TrimSpace(string(text[strings.LastIndexByte(string(text), ':')+1:]))
	var n int
	if _, err := fmt.Sscanf(list, "%d", &n); err != nil {
		t.Fatalf("%q: %v", text, err)
	}
	return n
}

func backend(t *testing.T, program, dir string) (address string) {
	t.Helper()
	address, err := rig.FreeAddress()
	if err != nil {
		t.Fatal(err)
	}
	conf := filepath.Join(dir, "backend.conf")
	if err := errors.Join(os.WriteFile(conf, []byte(BackendText(dir, address, filepath.Join(dir, "s"))), 0o644), os.MkdirAll(filepath.Join(dir, "tmp"), 0o755)); err != nil {
		t.Fatal(err)
	}
	p, err := proc.Start(core(t), filepath.Join(dir, "backend.log"), nil, program, "-p", dir, "-c", conf, "-e", "stderr")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Stop)
	if err := p.Ready(t.Context(), address, filepath.Join(dir, "s")); err != nil {
		t.Fatal(err)
	}
	return address
}

func TestPlainSeesWhatIsWrong(t *testing.T) {
	t.Parallel()
	for name, h := range map[string]http.HandlerFunc{
		"status": func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusBadGateway) },
		"body":   func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, Body[1:]+"x") },
		"type": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/html")
			io.WriteString(w, Body)
		},
		"framing": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/plain")
			w.(http.Flusher).Flush()
			io.WriteString(w, Body)
		},
	} {
		server := httptest.NewServer(h)
		client := server.Client()
		client.Timeout = time.Minute
		if err := plain(t.Context(), client, server.URL, "HTTP/1.1"); err == nil {
			t.Errorf("%s: nothing was seen", name)
		}
		server.Close()
	}
}

func TestASemperWithoutTheVerbIsMissing(t *testing.T) {
	t.Parallel()
	c := semper(Semper, "/bin/false", "epoll")
	var missing *Missing
	if err := c.Find(context.Background()); !errors.As(err, &missing) || missing.How == "" {
		t.Errorf("%v, want one that says what is missing and how to get it", err)
	}
}
