package semper

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Digest names immutable bytes: "sha256:" and 64 lower-case hex digits.
type Digest string

// DigestOf is the digest of b.
func DigestOf(b []byte) Digest {
	sum := sha256.Sum256(b)
	return Digest("sha256:" + hex.EncodeToString(sum[:]))
}

// Hex is the digest's hexadecimal part, or "" when d is not a valid digest.
func (d Digest) Hex() string {
	h, ok := strings.CutPrefix(string(d), "sha256:")
	if _, err := hex.DecodeString(h); !ok || err != nil || len(h) != 64 || strings.ToLower(h) != h {
		return ""
	}
	return h
}

// Valid reports whether d is well formed. It says nothing about whether the bytes exist.
func (d Digest) Valid() bool { return d.Hex() != "" }

// Short is the first 12 hex digits: enough for a person, never a key.
func (d Digest) Short() string {
	if h := d.Hex(); h != "" {
		return h[:12]
	}
	return string(d)
}

// A Release is a value: artifact + configuration + spec of every service of an app (law L1).
// Nothing about it changes after it is made. Two releases of an app with equal Artifact and
// Config are the same release and share a number.
type Release struct {
	App       string    `json:"app"`
	Number    int       `json:"number"`   // counts up per app, from 1
	Artifact  Digest    `json:"artifact"` // of the packed bundle
	Config    Digest    `json:"config"`   // of the canonical Spec
	Spec      Spec      `json:"spec"`
	CreatedAt time.Time `json:"created_at"`
	CreatedBy string    `json:"created_by,omitempty"`
}

// ReleaseName is a release's name within its app: "r42". Empty means none.
type ReleaseName string

// Name of the release: "r" and its number.
func (r Release) Name() ReleaseName { return NameRelease(r.Number) }

// NameRelease is the name of release number n.
func NameRelease(n int) ReleaseName { return ReleaseName("r" + strconv.Itoa(n)) }

// Number is the number in the name, or 0 when the name is not one.
func (n ReleaseName) Number() int {
	d, ok := strings.CutPrefix(string(n), "r")
	i, err := strconv.Atoi(d)
	if !ok || err != nil || i < 1 {
		return 0
	}
	return i
}

// ConfigDigest is the digest of the spec's canonical JSON (keys sorted, defaults filled in).
func (s Spec) ConfigDigest() Digest {
	b, err := json.Marshal(s)
	if err != nil {
		panic(fmt.Sprintf("semper: a spec always marshals: %v", err))
	}
	return DigestOf(b)
}
