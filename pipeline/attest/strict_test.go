package attest

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"
)

func TestStrict(t *testing.T) {
	t.Parallel()
	good := `{"_type":"` + StatementType + `","subject":[{"name":"a","digest":{"sha256":"` + strings.Repeat("0f", 32) + `"}}],"predicateType":"urn:x:y","predicate":{"n":1}}`
	if _, err := parseStatement([]byte(good)); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ name, old, new, place string }{
		{"unknown field", `"predicateType"`, `"extra":1,"predicateType"`, "statement"},
		{"field twice", `"predicateType"`, `"predicateType":"urn:z","predicateType"`, "statement"},
		{"name in another case", `"subject"`, `"Subject"`, "statement"},
		{"no predicate", `,"predicate":{"n":1}`, ``, "statement"},
		{"something behind it", `{"n":1}}`, `{"n":1}} {}`, "statement"},
		{"not an object", good, `[1]`, "statement"},
		{"not UTF-8", `"a"`, "\"\xff\"", "statement"},
		{"other type", StatementType, "https://in-toto.io/Statement/v0.1", "_type"},
		{"type of a type", `"` + StatementType + `"`, `1`, "statement._type"},
		{"subject is an object", `[{"name":"a"`, `{"name":"a"`, "statement"},
		{"no subjects", good[strings.Index(good, "[{") : strings.Index(good, "}}]")+3], `[]`, "statement.subject"},
		{"subject without a name", `"name":"a",`, ``, "subject[0]"},
		{"name is null", `"name":"a"`, `"name":null`, "subject[0].name"},
		{"other digest", `"sha256"`, `"sha1"`, "subject[0].digest"},
		{"short digest", strings.Repeat("0f", 32), "0f", "subject[0].digest.sha256"},
		{"digest in capitals", strings.Repeat("0f", 32), strings.Repeat("0F", 32), "subject[0].digest.sha256"},
		{"two of one name", `}],`, `},{"name":"a","digest":{"sha256":"` + strings.Repeat("0f", 32) + `"}}],`, "subject[1].name"},
		{"no URI", `urn:x:y`, `xy`, "predicateType"},
		{"predicate is a list", `{"n":1}`, `[1]`, "predicate"},
		{"predicate says it twice", `{"n":1}`, `{"n":1,"n":2}`, "predicate"},
	} {
		text := strings.Replace(good, c.old, c.new, 1)
		if text == good {
			t.Fatalf("%s: nothing was replaced", c.name)
		}
		_, err := parseStatement([]byte(text))
		var e *Error
		if !errors.As(err, &e) || e.Place != c.place {
			t.Errorf("%s: %v, want an error at %s", c.name, err, c.place)
		}
	}
}

func TestStrictEnvelope(t *testing.T) {
	t.Parallel()
	good := `{"payload":"e30=","payloadType":"x","signatures":[{"keyid":"k","sig":"AAAA"}]}`
	if _, _, _, err := openEnvelope([]byte(good)); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ name, old, new, place string }{
		{"unknown field", `"payload"`, `"x":1,"payload"`, "envelope"},
		{"no base64", "e30=", "e30", "payload"},
		{"bits behind base64", "e30=", "e31=", "payload"},
		{"line break in base64", "e30=", `e3\n0=`, "payload"},
		{"signature is text", `{"keyid":"k","sig":"AAAA"}`, `"AAAA"`, "signatures[0]"},
		{"no signature", `[{"keyid":"k","sig":"AAAA"}]`, `[]`, "envelope.signatures"},
		{"too many", `[{`, `[` + strings.Repeat(`{"sig":"AAAA"},`, maxSignatures) + `{`, "envelope.signatures"},
		{"sig is a number", `"AAAA"`, `7`, "signatures[0].sig"},
		{"cut off", `]}`, ``, "envelope"},
		{"too large", `"x"`, `"` + strings.Repeat("x", MaxEnvelope) + `"`, "envelope"},
	} {
		_, _, _, err := openEnvelope([]byte(strings.Replace(good, c.old, c.new, 1)))
		var e *Error
		if !errors.As(err, &e) || e.Place != c.place {
			t.Errorf("%s: %v, want an error at %s", c.name, err, c.place)
		}
	}
}

// What would not be read is not signed.
func TestSignRefuses(t *testing.T) {
	t.Parallel()
	for name, spoil := range map[string]func(*Statement){
		"no subject":        func(s *Statement) { s.Subject = nil },
		"short digest":      func(s *Statement) { s.Subject[0].SHA256 = "abc" },
		"no type":           func(s *Statement) { s.PredicateType = "" },
		"broken predicate":  func(s *Statement) { s.Predicate = json.RawMessage(`{`) },
		"no predicate":      func(s *Statement) { s.Predicate = nil },
		"a huge predicate":  func(s *Statement) { s.Predicate = json.RawMessage(`{"x":"` + strings.Repeat("x", MaxEnvelope) + `"}`) },
		"one name for both": func(s *Statement) { s.Subject[1].Name = s.Subject[0].Name },
	} {
		st := example()
		spoil(&st)
		var e *Error
		if _, err := Sign(newKey(t), st); !errors.As(err, &e) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// FuzzVerify: no input makes the reader panic, and whatever it takes is what the trusted key signed.
func FuzzVerify(f *testing.F) {
	k, err := NewKey()
	if err != nil {
		f.Fatal(err)
	}
	ring := Keyring{}
	ring.Add(k.Public(), time.Now())
	good, err := Sign(k, example())
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Add([]byte(`{"payload":"e30=","payloadType":"x","signatures":[{"sig":"AAAA"}]}`))
	f.Add([]byte(`{"payload":"e30=","payload":"e30=","signatures":[]}`))
	f.Add([]byte("{\"a\":{\"b\":[1e999]}}"))
	_, signed, _, err := openEnvelope(good)
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if _, body, _, err := openEnvelope(b); err == nil {
			_, _ = parseStatement(body) // must not panic
		} else if e := (*Error)(nil); !errors.As(err, &e) {
			t.Fatalf("%v is no *Error", err)
		}
		_, _ = parseStatement(b)
		if _, _, err := ring.Verify(b); err == nil {
			_, body, _, err := openEnvelope(b)
			if err != nil || base64.StdEncoding.EncodeToString(body) != base64.StdEncoding.EncodeToString(signed) {
				t.Fatalf("took %q", b)
			}
		}
	})
}
