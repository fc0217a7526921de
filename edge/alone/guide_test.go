package alone

import (
	"crypto/x509"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var (
	example   = regexp.MustCompile("(?ms)^```yaml\n(.*?)^```$")
	listens   = regexp.MustCompile(`(?m)^listeners:`)
	hasPools  = regexp.MustCompile(`(?m)^pools:`)
	hasRoutes = regexp.MustCompile(`(?m)^routes:`)
	firstPool = regexp.MustCompile(`(?m)^(?:pools: \{| +)\s*([a-z]+):`)
)

// TestTheGuide puts every example of the guide in force. What one leaves out is the pool app, and a route to it.
func TestTheGuide(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../docs/guides/edge-alone.md")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS("../routefile/testdata/site")); err != nil {
		t.Fatal(err)
	}
	ca := newAuthority(t)
	ca.dir = dir // over what stands there
	for _, name := range []string{"shop", "edge"} {
		ca.server(name, name+".test")
	}
	for _, name := range []string{"ca", "clients", "internal-ca"} {
		ca.sign(name, &x509.Certificate{IsCA: true, BasicConstraintsValid: true})
	}
	examples := example.FindAllStringSubmatch(string(text), -1)
	if len(examples) < 15 {
		t.Fatalf("only %d examples", len(examples))
	}
	path := filepath.Join(dir, "edge.yaml")
	for i, e := range examples {
		text := e[1]
		if !hasPools.MatchString(text) {
			text += "pools: {app: 127.0.0.1:9000}\n"
		}
		if !hasRoutes.MatchString(text) {
			text += "routes: [{to: " + firstPool.FindStringSubmatch(text[strings.Index(text, "pools:"):])[1] + "}]\n"
		}
		writeFile(t, path, text)
		o := Options{Routes: path, Dir: filepath.Join(dir, "data")}
		if _, err := read(o, nil); err != nil && listens.MatchString(text) {
			t.Errorf("example %d:\n%v", i+1, err)
		}
		if listens.MatchString(text) {
			continue
		}
		o.HTTP = []string{"127.0.0.1:0"}
		s, err := start(t.Context(), o, nil)
		if err != nil {
			t.Errorf("example %d:\n%v", i+1, err)
			continue
		}
		if err := s.close(); err != nil {
			t.Errorf("example %d: %v", i+1, err)
		}
	}
}
