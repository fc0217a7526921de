package attest

import (
	"encoding/hex"
	"encoding/json"
	"strconv"
	"strings"
)

// StatementType is the type of an in-toto statement, version 1.
// See https://github.com/in-toto/attestation/blob/main/spec/v1/statement.md.
const StatementType = "https://in-toto.io/Statement/v1"

const maxSubjects = 16

// A Statement says something, the predicate, of named bytes, the subjects.
type Statement struct {
	Subject       []Subject
	PredicateType string          // a URI
	Predicate     json.RawMessage // an object
}

// A Subject is what a statement is about.
type Subject struct {
	Name   string
	SHA256 string // 64 lower-case hexadecimal digits
}

// About reports whether the statement's subjects are exactly those: the same digests under the same names, in any order.
func (s Statement) About(subjects ...Subject) bool {
	if len(subjects) != len(s.Subject) {
		return false
	}
	for _, want := range subjects {
		found := false
		for _, have := range s.Subject {
			found = found || have == want
		}
		if !found {
			return false
		}
	}
	return true
}

type wireSubject struct {
	Name   string            `json:"name"`
	Digest map[string]string `json:"digest"`
}

// marshal is what is signed. It refuses what parseStatement would not read.
func (s Statement) marshal() ([]byte, error) {
	wire := struct {
		Type          string          `json:"_type"`
		Subject       []wireSubject   `json:"subject"`
		PredicateType string          `json:"predicateType"`
		Predicate     json.RawMessage `json:"predicate"`
	}{Type: StatementType, PredicateType: s.PredicateType, Predicate: s.Predicate}
	for _, sub := range s.Subject {
		wire.Subject = append(wire.Subject, wireSubject{sub.Name, map[string]string{"sha256": sub.SHA256}})
	}
	b, err := json.Marshal(wire)
	if err != nil {
		return nil, &Error{Place: "predicate", Why: "is not JSON"}
	}
	if _, err := parseStatement(b); err != nil {
		return nil, err
	}
	return b, nil
}

func parseStatement(body []byte) (Statement, error) {
	o, err := readObject("statement", body, "_type", "subject", "predicateType", "predicate")
	if err != nil {
		return Statement{}, err
	}
	kind, err := o.text("_type", 1, 256)
	if err != nil {
		return Statement{}, err
	}
	if kind != StatementType {
		return Statement{}, &Error{Place: "_type", Why: "is not " + StatementType}
	}
	var st Statement
	if st.PredicateType, err = o.text("predicateType", 1, 512); err != nil {
		return Statement{}, err
	}
	if !strings.Contains(st.PredicateType, ":") {
		return Statement{}, &Error{Place: "predicateType", Why: "is not a URI"}
	}
	items, err := o.list("subject", 1, maxSubjects)
	if err != nil {
		return Statement{}, err
	}
	names := map[string]bool{}
	for i, item := range items {
		place := "subject[" + strconv.Itoa(i) + "]"
		sub, err := readSubject(place, item)
		if err != nil {
			return Statement{}, err
		}
		if names[sub.Name] {
			return Statement{}, &Error{Place: place + ".name", Why: "is that of another subject"}
		}
		names[sub.Name] = true
		st.Subject = append(st.Subject, sub)
	}
	st.Predicate = o.fields["predicate"]
	return st, checkObject("predicate", st.Predicate)
}

func readSubject(place string, raw json.RawMessage) (Subject, error) {
	o, err := readObject(place, raw, "name", "digest")
	if err != nil {
		return Subject{}, err
	}
	var s Subject
	if s.Name, err = o.text("name", 1, 256); err != nil {
		return Subject{}, err
	}
	d, err := readObject(place+".digest", o.fields["digest"], "sha256")
	if err != nil {
		return Subject{}, err
	}
	if s.SHA256, err = d.text("sha256", 64, 64); err != nil {
		return Subject{}, err
	}
	if _, err := hex.DecodeString(s.SHA256); err != nil || strings.ToLower(s.SHA256) != s.SHA256 {
		return Subject{}, &Error{Place: place + ".digest.sha256", Why: "is not 64 lower-case hexadecimal digits"}
	}
	return s, nil
}
