package main

import (
	"bytes"
	"net"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"semper/edge/conformance"
	"semper/edge/conformance/traffic"
	"semper/internal/reserve"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestChoose(t *testing.T) {
	t.Parallel()
	for names, want := range map[string]int{"": 85, "1": 1, "1-26,63": 27, "80-85,80": 6} {
		if rows, err := choose(conformance.Rows(), names); err != nil || len(rows) != want {
			t.Errorf("%q: %d rows, %v; want %d", names, len(rows), err, want)
		}
	}
	for _, names := range []string{"0", "86", "5-3", "x", "1,", "-"} {
		if _, err := choose(conformance.Rows(), names); err == nil || !strings.Contains(err.Error(), "row") {
			t.Errorf("%q: %v", names, err)
		}
	}
}

// TestSilentProxy checks one that takes connections and never answers: the recorder's own port.
func TestSilentProxy(t *testing.T) {
	t.Parallel()
	proxy, err := conformance.Record("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer proxy.Close()
	var out bytes.Buffer
	code, err := check(t.Context(), []string{"-addr", proxy.Addr().String(), "-backend", "unix:" + t.TempDir() + "/b", "-rows", "27,70", "-patience", "100ms"}, &out)
	if err != nil || code != 1 {
		t.Errorf("status %d, %v", code, err)
	}
	for _, want := range []string{"27  no Host in HTTP/1.1", "FAIL 2/2", "skip", "0 passed, 1 failed, 4 skipped"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("%q is not in\n%s", want, out.String())
		}
	}
}

func TestWrongUse(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{{}, {"-rows", "99"}, {"-addr", "x", "rest"}, {"-addr", "x", "-roots", "/nowhere"}, {"-addr", "x", "-backend", "unix:/no/where"}} {
		if code, err := check(t.Context(), args, new(bytes.Buffer)); code != 2 || err == nil {
			t.Errorf("%q: status %d, %v", args, code, err)
		}
	}
}

func TestList(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	if code, err := check(t.Context(), []string{"-list", "-rows", "22"}, &out); code != 0 || err != nil || !strings.Contains(out.String(), "bare LF") {
		t.Errorf("status %d, %v: %s", code, err, out.String())
	}
}

// TestExchanges compares net/http with itself.
func TestExchanges(t *testing.T) {
	t.Parallel()
	backend := &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: reserve.For(t).Number}
	addr, end, err := traffic.Reference(backend)
	if err != nil {
		t.Fatal(err)
	}
	defer end()
	var out bytes.Buffer
	code, err := check(t.Context(), []string{"-addr", addr, "-backend", backend.String(), "-exchanges", "200"}, &out)
	if code != 0 || err != nil || !strings.Contains(out.String(), " 0 differ") {
		t.Errorf("status %d, %v: %s", code, err, out.String())
	}
	if code, err := check(t.Context(), []string{"-addr", addr, "-backend", "127.0.0.1:0", "-host", "x", "-exchanges", "2"}, &out); code != 2 || err == nil {
		t.Errorf("another host: status %d, %v", code, err)
	}
}
