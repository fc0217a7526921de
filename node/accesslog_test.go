package node

import (
	"bytes"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"semper/edge/accesslog"
)

func TestAccessLogOfTheProduct(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		form   string
		on     bool
		format accesslog.Format
		said   string
	}{
		{"", true, accesslog.JSON, ""},
		{"json", true, accesslog.JSON, ""},
		{"combined", true, accesslog.Combined, ""},
		{"off", false, 0, ""},
		{"xml", true, accesslog.JSON, "none of json, combined and off"},
	} {
		var said bytes.Buffer
		dir := filepath.Join(t.TempDir(), "logs")
		o := accessLog(dir, tc.form, slog.New(slog.NewTextHandler(&said, nil)))
		if on := o.Path != ""; on != tc.on || o.Format != tc.format || on && (o.MaxSize <= 0 || o.Keep <= 0) {
			t.Errorf("%q: %+v", tc.form, o)
		}
		if !strings.Contains(said.String(), tc.said) || tc.said == "" && said.Len() > 0 {
			t.Errorf("%q: said %s", tc.form, &said)
		}
		if _, err := os.Stat(filepath.Join(dir, "access.log")); (err == nil) != tc.on {
			t.Errorf("%q: %v", tc.form, err)
		}
	}
}

func TestAnEdgeServesWithoutItsAccessLog(t *testing.T) {
	t.Parallel()
	var said bytes.Buffer
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if o := accessLog(filepath.Join(file, "logs"), "", slog.New(slog.NewTextHandler(&said, nil))); o.Path != "" || !strings.Contains(said.String(), "serves without") {
		t.Errorf("%+v, said %s", o, &said)
	}
}
