package main

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"semper/bench/rig"
)

const appName = "bench"

// artifactSize is what the files of the app come to.
const artifactSize = 10 << 20

const appConfig = `version: 1
app: bench
services:
  web:
    type: web
    command: ./app
    instances: 3
    health: { path: /healthz }
    stop: { signal: SIGTERM, timeout: 10s }
routes:
  - { path: /, to: web }
warm: 30s
drain: { request: 10s, stream: 10s, websocket: 3s }
`

// makeApp lays out an artifact of artifactSize that differs from others in one file.
func makeApp(dir, binary, note string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	program, err := os.ReadFile(binary)
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(dir, "app"), program, 0o755); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(dir, "semper.yaml"), []byte(appConfig), 0o644); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(dir, "filler"), noise(artifactSize-len(program)), 0o644); err != nil {
		return err
	}
	return writeNote(dir, note)
}

func writeNote(dir, note string) error {
	return os.WriteFile(filepath.Join(dir, "note.txt"), []byte(note+"\n"), 0o644)
}

// noise is n bytes that do not compress, the same ones on every machine.
func noise(n int) []byte {
	b := make([]byte, 0, max(n, 0)+sha256.Size)
	for i := uint64(0); len(b) < n; i++ {
		var seed [8]byte
		binary.LittleEndian.PutUint64(seed[:], i)
		sum := sha256.Sum256(seed[:])
		b = append(b, sum[:]...)
	}
	return b[:max(n, 0)]
}

// boot starts the app by itself and returns how long it took until its health check was good.
func boot(dir string) (time.Duration, error) {
	address, err := rig.FreeAddress()
	if err != nil {
		return 0, err
	}
	cmd := exec.Command("./app")
	cmd.Dir = dir
	cmd.Env = []string{"PORT=" + address[len("127.0.0.1:"):], "SEMPER_RELEASE=r0"}
	began := time.Now()
	if err := cmd.Start(); err != nil {
		return 0, err
	}
	defer func() { _ = cmd.Process.Signal(syscall.SIGTERM); _ = cmd.Wait() }()
	for time.Since(began) < 10*time.Second {
		res, err := http.Get("http://" + address + "/healthz")
		if err != nil {
			continue // not listening yet: this asks as fast as it can
		}
		_, _ = io.Copy(io.Discard, res.Body)
		res.Body.Close()
		if res.StatusCode == http.StatusOK {
			return time.Since(began), nil
		}
	}
	return 0, fmt.Errorf("the app did not start within 10 s")
}
