// Command app is what the end-to-end tests deploy: a small web service that misbehaves as told by
// the environment variable BEHAVIOUR.
package main

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

func main() {
	if len(os.Args) > 1 && os.Args[1] == "linger" {
		c := make(chan os.Signal, 1)
		signal.Notify(c, syscall.SIGUSR1)
		<-c // a grandchild that ends only when it is killed
		return
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	version, err := os.ReadFile("version.txt")
	if err != nil {
		version = []byte("none")
	}
	fmt.Printf("release %s version %s starts: %s\n", os.Getenv("SEMPER_RELEASE"), strings.TrimSpace(string(version)), os.Getenv("BEHAVIOUR"))
	behave(ctx)
	switch os.Getenv("BEHAVIOUR") {
	case "worker":
		worker(ctx)
		return
	case "broker":
		broker(ctx)
		return
	}
	l, err := listen()
	if err != nil {
		fmt.Println("cannot listen:", err)
		os.Exit(1)
	}
	srv := &http.Server{Handler: routes(strings.TrimSpace(string(version)))} //nolint:gosec // a test's app
	done := make(chan struct{})
	go func() {
		defer close(done)
		<-ctx.Done()
		_ = srv.Shutdown(context.Background())
	}()
	notifyReady()
	_ = srv.Serve(l)
	<-done
}

// behave does what has to be done before listening.
func behave(ctx context.Context) {
	switch os.Getenv("BEHAVIOUR") {
	case "exit":
		fmt.Println("cannot open config.ini: no such file")
		os.Exit(3)
	case "silent":
		<-ctx.Done()
		os.Exit(0)
	case "ignoreterm":
		signal.Ignore(syscall.SIGTERM)
	case "grandchild":
		self, _ := os.Executable()
		c := exec.Command(self, "linger")
		c.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
		if err := c.Start(); err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		_ = os.WriteFile(os.Getenv("SEMPER_SCRATCH")+"/grandchild", []byte(strconv.Itoa(c.Process.Pid)), 0o600)
	case "biglog":
		go printMuch() // beside its service, for as long as it takes
	}
}

// printMuch prints a gigabyte.
func printMuch() {
	line := []byte(strings.Repeat("x", 1023) + "\n")
	block := make([]byte, 0, 1<<20)
	for len(block) < 1<<20 {
		block = append(block, line...)
	}
	for range 1024 {
		_, _ = os.Stdout.Write(block)
	}
	fmt.Println("the last line")
}

func listen() (net.Listener, error) {
	if os.Getenv("BEHAVIOUR") == "wrongport" {
		return net.Listen("tcp", "127.0.0.1:0")
	}
	if path := os.Getenv("SOCKET"); path != "" {
		return net.Listen("unix", path)
	}
	return net.Listen("tcp", "127.0.0.1:"+os.Getenv("PORT"))
}

func notifyReady() {
	path := os.Getenv("NOTIFY_SOCKET")
	if os.Getenv("BEHAVIOUR") != "notify" || path == "" {
		return
	}
	c, err := net.Dial("unixgram", path)
	if err != nil {
		fmt.Println(err)
		return
	}
	_, _ = c.Write([]byte("READY=1"))
	_ = c.Close()
}

func routes(version string) http.Handler {
	var mu sync.Mutex
	var eaten [][]byte
	mux := http.NewServeMux()
	every, _ := strconv.ParseInt(os.Getenv("FAIL_EVERY"), 10, 64) // one in so many requests fails
	delay, _ := time.ParseDuration(os.Getenv("DELAY"))
	leak, _ := strconv.Atoi(os.Getenv("LEAK")) // bytes that each request leaves behind
	var requests atomic.Int64
	mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) {
		if delay > 0 {
			time.Sleep(delay)
		}
		if leak > 0 {
			left := bytes.Repeat([]byte{1}, leak)
			mu.Lock()
			eaten = append(eaten, left)
			mu.Unlock()
		}
		if every > 0 && requests.Add(1)%every == 0 {
			http.Error(w, "out of luck", http.StatusInternalServerError)
			return
		}
		fmt.Fprintf(w, "%s %s\n", os.Getenv("SEMPER_RELEASE"), version)
	})
	mux.HandleFunc("/slow", func(w http.ResponseWriter, r *http.Request) {
		ms, _ := strconv.Atoi(r.FormValue("ms"))
		select {
		case <-time.After(time.Duration(ms) * time.Millisecond):
		case <-r.Context().Done():
		}
		fmt.Fprintf(w, "%s slow\n", os.Getenv("SEMPER_RELEASE"))
	})
	mux.HandleFunc("/orders/", order)
	mux.HandleFunc("/jobs/", job)
	mux.HandleFunc("/variant", func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "%s %s", r.Header.Get("Semper-Variant"), r.Header.Get("Semper-Variant-Key"))
	})
	mux.HandleFunc("/pid", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, os.Getpid()) })
	mux.HandleFunc("/env", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, strings.Join(os.Environ(), "\n")) })
	mux.HandleFunc("/write", func(w http.ResponseWriter, _ *http.Request) {
		err := os.WriteFile("version.txt", []byte("tampered"), 0o600)
		fmt.Fprintf(w, "uid %d: %v", os.Getuid(), err)
	})
	mux.HandleFunc("/eat", func(w http.ResponseWriter, _ *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		for range 4096 {
			b := make([]byte, 1<<20)
			for i := 0; i < len(b); i += 4096 {
				b[i] = 1
			}
			eaten = append(eaten, b)
		}
	})
	if os.Getenv("BEHAVIOUR") == "loop" {
		mux.HandleFunc("/loop", func(http.ResponseWriter, *http.Request) {
			fmt.Println("panic: nil pointer")
			os.Exit(2)
		})
	}
	mux.HandleFunc("/exit", func(http.ResponseWriter, *http.Request) { os.Exit(7) })
	return mux
}
