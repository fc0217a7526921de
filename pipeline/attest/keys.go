package attest

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"strings"
	"time"
)

// A Key signs. Its text forms hold the public half only.
type Key struct {
	id      string
	private ed25519.PrivateKey
}

// NewKey is a new key.
func NewKey() (*Key, error) {
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, err
	}
	return &Key{id: KeyID(public), private: private}, nil
}

// KeyOf is the key whose seed is seed (RFC 8032, 5.1.5): the same for the same seed.
func KeyOf(seed [ed25519.SeedSize]byte) *Key {
	private := ed25519.NewKeyFromSeed(seed[:])
	return &Key{id: KeyID(private.Public().(ed25519.PublicKey)), private: private} //nolint:forcetypeassert // crypto/ed25519 says so
}

// ID names the key: see [KeyID].
func (k *Key) ID() string { return k.id }

// Public half of the key.
func (k *Key) Public() ed25519.PublicKey {
	return k.private.Public().(ed25519.PublicKey) //nolint:forcetypeassert // crypto/ed25519 says so
}

// String is the key's name.
func (k *Key) String() string { return "key " + k.id }

// GoString is String: no verb of package fmt prints the private half.
func (k *Key) GoString() string { return k.String() }

// KeyID is the name of a public key: the SHA-256 of the key, in hexadecimal.
func KeyID(public ed25519.PublicKey) string {
	sum := sha256.Sum256(public)
	return hex.EncodeToString(sum[:])
}

// A Trusted key is one whose signatures count.
type Trusted struct {
	Public ed25519.PublicKey `json:"public"`
	From   time.Time         `json:"from"`
	// Until is when it was retired: what it signed before stays good. Zero while it signs.
	Until time.Time `json:"until,omitzero"`
	// Revoked keys have signed nothing that counts, whenever it was.
	Revoked bool `json:"revoked,omitempty"`
	// Generation of an installation's own keys, from 1; zero is 1, or of no installation.
	Generation int       `json:"generation,omitempty"`
	RevokedAt  time.Time `json:"revoked_at,omitzero"`
	RevokedBy  string    `json:"revoked_by,omitempty"`
	Why        string    `json:"why,omitempty"` // it was revoked
}

// A Keyring holds the trusted keys by [KeyID]. Reading it is safe for concurrent use.
type Keyring map[string]Trusted

// Add trusts a public key from a time on.
func (r Keyring) Add(public ed25519.PublicKey, from time.Time) {
	r[KeyID(public)] = Trusted{Public: public, From: from}
}

// public is the key of that id, where the entry is what its name says.
func (r Keyring) public(id string) (ed25519.PublicKey, bool) {
	t, ok := r[id]
	if !ok || len(t.Public) != ed25519.PublicKeySize || KeyID(t.Public) != id {
		return nil, false
	}
	return t.Public, true
}

// signature is one of an envelope.
type signature struct {
	keyID string
	sig   []byte
}

// signed is the id of the key in r by which body of payloadType is signed, one that is not revoked if there is any.
func (r Keyring) signed(payloadType string, body []byte, sigs []signature) (string, bool) {
	message, revoked := PAE(payloadType, body), ""
	for _, s := range sigs {
		for id, t := range r {
			if s.keyID != "" && s.keyID != id { // no hint: each
				continue
			}
			if public, ok := r.public(id); !ok || !ed25519.Verify(public, message, s.sig) {
				continue
			}
			if !t.Revoked {
				return id, true
			}
			revoked = id
		}
	}
	return revoked, revoked != ""
}

// during reports whether the key was in use at a time.
func (t Trusted) during(at time.Time) bool {
	return !at.Before(t.From.Add(-skew)) && (t.Until.IsZero() || at.Before(t.Until.Add(skew)))
}

// revocation says that the key does not count any more, and since when.
func (t Trusted) revocation(id string) string {
	s := "the key " + id[:12] + " that signed it was revoked"
	if !t.RevokedAt.IsZero() {
		s += " at " + t.RevokedAt.UTC().Format(time.DateTime)
	}
	if t.RevokedBy != "" {
		s += " by " + t.RevokedBy
	}
	if t.Why != "" {
		s += ": " + t.Why
	}
	return s
}

// skew is how far the clocks of who made a key and who signed with it may be apart.
const skew = 5 * time.Minute

// unbase64 reads both alphabets, as DSSE asks of verifiers.
func unbase64(s string) ([]byte, bool) {
	if strings.ContainsAny(s, "\r\n") { // which encoding/base64 passes over
		return nil, false
	}
	for _, e := range []*base64.Encoding{base64.StdEncoding, base64.URLEncoding} {
		if b, err := e.Strict().DecodeString(s); err == nil {
			return b, true
		}
	}
	return nil, false
}
