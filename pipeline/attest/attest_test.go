package attest

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"strings"
	"testing"
	"time"
)

// The example of DSSE's protocol.md, whose key is one of ECDSA over P-256: the form of the envelope and the encoding that is signed are
// the same for every algorithm.
func TestDSSEsPublishedVector(t *testing.T) {
	t.Parallel()
	const envelope = `{"payload": "aGVsbG8gd29ybGQ=",
 "payloadType": "http://example.com/HelloWorld",
 "signatures": [{"sig": "A3JqsQGtVsJ2O2xqrI5IcnXip5GToJ3F+FnZ+O88SjtR6rDAajabZKciJTfUiHqJPcIAriEGAHTVeCUjW2JIZA=="}]}`
	kind, body, sigs, err := openEnvelope([]byte(envelope))
	if err != nil {
		t.Fatal(err)
	}
	message := PAE(kind, body)
	if want := "DSSEv1 29 http://example.com/HelloWorld 11 hello world"; string(message) != want {
		t.Fatalf("PAE is %q, want %q", message, want)
	}
	point := []byte{4} // uncompressed: X and Y follow
	for _, n := range []string{
		"46950820868899156662930047687818585632848591499744589407958293238635476079160",
		"5640078356564379163099075877009565129882514886557779369047442380624545832820",
	} {
		v, ok := new(big.Int).SetString(n, 10)
		if !ok {
			t.Fatal(n)
		}
		point = append(point, v.FillBytes(make([]byte, 32))...)
	}
	public, err := ecdsa.ParseUncompressedPublicKey(elliptic.P256(), point)
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(message)
	if len(sigs) != 1 || len(sigs[0].sig) != 64 {
		t.Fatalf("signatures %v", sigs)
	}
	if r, s := new(big.Int).SetBytes(sigs[0].sig[:32]), new(big.Int).SetBytes(sigs[0].sig[32:]); !ecdsa.Verify(public, sum[:], r, s) {
		t.Error("the published signature does not fit what this package says was signed")
	}
}

// RFC 8032, section 7.1, test 3: the signature inside the envelope is plain Ed25519 over the PAE and nothing else.
func TestTheSignatureIsEd25519OfThePAE(t *testing.T) {
	t.Parallel()
	seed, err := hex.DecodeString("c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7")
	if err != nil {
		t.Fatal(err)
	}
	private := ed25519.NewKeyFromSeed(seed)
	if got := hex.EncodeToString(ed25519.Sign(private, []byte{0xaf, 0x82})); !strings.HasPrefix(got, "6291d657deec24024827e69c3abe01a3") {
		t.Fatalf("not the key of the RFC: %s", got)
	}
	k := &Key{id: KeyID(private.Public().(ed25519.PublicKey)), private: private}
	envelope, err := Sign(k, example())
	if err != nil {
		t.Fatal(err)
	}
	kind, body, sigs, err := openEnvelope(envelope)
	if err != nil {
		t.Fatal(err)
	}
	if !ed25519.Verify(k.Public(), fmt.Appendf(nil, "DSSEv1 %d %s %d %s", len(kind), kind, len(body), body), sigs[0].sig) {
		t.Error("another verifier would refuse it")
	}
}

func example() Statement {
	return Statement{
		Subject: []Subject{
			{Name: "artifact", SHA256: strings.Repeat("a1", 32)},
			{Name: "configuration", SHA256: strings.Repeat("b2", 32)},
		},
		PredicateType: "urn:semper:gate:run:v1",
		Predicate:     json.RawMessage(`{"gate":"tests","exit":0}`),
	}
}

func newKey(t *testing.T) *Key {
	t.Helper()
	k, err := NewKey()
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func TestSignAndVerify(t *testing.T) {
	t.Parallel()
	k, other := newKey(t), newKey(t)
	ring := Keyring{}
	ring.Add(other.Public(), time.Now())
	envelope, err := Sign(k, example())
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := ring.Verify(envelope); !errors.Is(err, ErrUntrusted) {
		t.Errorf("an unknown key's signature: %v", err)
	}
	ring.Add(k.Public(), time.Now())
	st, id, err := ring.Verify(envelope)
	if err != nil {
		t.Fatal(err)
	}
	if id != k.ID() || !st.About(example().Subject[1], example().Subject[0]) || st.PredicateType != example().PredicateType {
		t.Errorf("read %+v of key %s", st, id)
	}
	if st.About(example().Subject[0]) {
		t.Error("a statement about two subjects passes for one about the first")
	}
}

// No bit of what is signed, of its type or of its signature may be another.
func TestEveryBitCounts(t *testing.T) {
	t.Parallel()
	k := newKey(t)
	ring := Keyring{}
	ring.Add(k.Public(), time.Now())
	envelope, err := Sign(k, example())
	if err != nil {
		t.Fatal(err)
	}
	kind, body, sigs, err := openEnvelope(envelope)
	if err != nil {
		t.Fatal(err)
	}
	build := func(kind string, body, sig []byte, keyID string) []byte {
		b, err := json.Marshal(map[string]any{
			"payload": base64.StdEncoding.EncodeToString(body), "payloadType": kind,
			"signatures": []map[string]string{{"keyid": keyID, "sig": base64.StdEncoding.EncodeToString(sig)}},
		})
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	if _, _, err := ring.Verify(build(kind, body, sigs[0].sig, k.ID())); err != nil {
		t.Fatalf("the rebuilt envelope is refused: %v", err)
	}
	if _, _, err := ring.Verify(build(kind, body, sigs[0].sig, "")); err != nil {
		t.Errorf("the id is only a hint, and without it the envelope is refused: %v", err)
	}
	for i := range len(body) * 8 {
		b := append([]byte(nil), body...)
		b[i/8] ^= 1 << (i % 8)
		if _, _, err := ring.Verify(build(kind, b, sigs[0].sig, k.ID())); err == nil {
			t.Fatalf("bit %d of the payload does not count", i)
		}
	}
	for i := range len(sigs[0].sig) * 8 {
		s := append([]byte(nil), sigs[0].sig...)
		s[i/8] ^= 1 << (i % 8)
		if _, _, err := ring.Verify(build(kind, body, s, k.ID())); err == nil {
			t.Fatalf("bit %d of the signature does not count", i)
		}
	}
	if _, _, err := ring.Verify(build("application/json", body, sigs[0].sig, k.ID())); err == nil {
		t.Error("the payload type does not count")
	}
}

func TestKeysAreReplaced(t *testing.T) {
	t.Parallel()
	k := newKey(t)
	made := time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)
	retired := made.Add(30 * 24 * time.Hour)
	at := func(when time.Time) []byte {
		st := example()
		st.Predicate = json.RawMessage(`{"at":"` + when.Format(time.RFC3339) + `"}`)
		b, err := Sign(k, st)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	undated, err := Sign(k, example())
	if err != nil {
		t.Fatal(err)
	}
	in := Trusted{Public: k.Public(), From: made}
	out := Trusted{Public: k.Public(), From: made, Until: retired}
	for _, c := range []struct {
		name     string
		key      Trusted
		envelope []byte
		good     bool
	}{
		{"in use", in, at(made.Add(time.Hour)), true},
		{"in use, no date", in, undated, true},
		{"before it was made", in, at(made.Add(-time.Hour)), false},
		{"retired, signed before", out, at(retired.Add(-time.Hour)), true},
		{"retired, signed after", out, at(retired.Add(time.Hour)), false},
		{"retired, no date", out, undated, false},
		{"revoked", Trusted{Public: k.Public(), From: made, Revoked: true, RevokedAt: time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC), RevokedBy: "ann", Why: "lost a backup"}, at(made.Add(time.Hour)), false},
		{"another key under this id", Trusted{Public: newKey(t).Public(), From: made}, at(made.Add(time.Hour)), false},
	} {
		_, _, err := Keyring{k.ID(): c.key}.Verify(c.envelope)
		if (err == nil) != c.good {
			t.Errorf("%s: %v", c.name, err)
		}
		if c.key.Revoked && (!errors.Is(err, ErrUntrusted) || !strings.Contains(err.Error(), "was revoked at 2026-11-21 12:00:00 by ann: lost a backup")) {
			t.Errorf("%s: %v does not say what became of the key", c.name, err)
		}
		if err != nil && !errors.Is(err, ErrUntrusted) {
			t.Errorf("%s: %v is not ErrUntrusted", c.name, err)
		}
	}
}

// A key is that of its seed, and no form of it prints the private half.
func TestKeyOf(t *testing.T) {
	t.Parallel()
	k := newKey(t)
	if again := KeyOf([ed25519.SeedSize]byte(k.private.Seed())); again.ID() != k.ID() || !again.private.Equal(k.private) {
		t.Errorf("made again %v", again)
	}
	if other := KeyOf([ed25519.SeedSize]byte{1}); other.ID() == k.ID() {
		t.Errorf("another seed has the same key")
	}
	secret := hex.EncodeToString(k.private.Seed())
	for _, form := range []string{"%v", "%+v", "%#v", "%s"} {
		if got := fmt.Sprintf(form, k); !strings.Contains(got, k.ID()) || strings.Contains(got, secret) {
			t.Errorf("%s prints %s", form, got)
		}
	}
}
