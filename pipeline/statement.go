package pipeline

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"semper"
	"semper/pipeline/attest"
)

// A Subject is what statements are about: the two digests that make a release. Its number is not part of it.
type Subject struct {
	Artifact semper.Digest `json:"artifact"`
	Config   semper.Digest `json:"config"`
}

// SubjectOf a release.
func SubjectOf(r semper.Release) Subject { return Subject{r.Artifact, r.Config} }

// Names of the subjects in a statement.
const (
	subjectArtifact = "artifact"
	subjectConfig   = "configuration"
)

// predicateType of a kind of gate.
func predicateType(k semper.GateKind) string { return "urn:semper:gate:" + string(k) + ":v1" }

// Passed is the predicate of a statement: a gate was passed.
type Passed struct {
	At          time.Time          `json:"at"`
	App         string             `json:"app"`
	Environment string             `json:"environment"`
	Gate        string             `json:"gate"`
	Kind        semper.GateKind    `json:"kind"`
	Definition  semper.Digest      `json:"definition"` // of the gate
	Release     semper.ReleaseName `json:"release"`
	Run         string             `json:"run"`
	Attempt     int                `json:"attempt"`
	By          string             `json:"by,omitempty"`       // who said yes
	Why         string             `json:"why,omitempty"`      // in their words, or what was seen
	Expires     time.Time          `json:"expires,omitzero"`   // of a yes
	Instance    semper.InstanceID  `json:"instance,omitempty"` // that ran the command
}

// Name of the statement, unique for ever: "shop/beta/tests/p-7.1".
func (p Passed) Name() string {
	return fmt.Sprintf("%s/%s/%s/%s.%d", p.App, p.Environment, p.Gate, p.Run, p.Attempt)
}

// Statement is p as it is signed.
func (p Passed) Statement(about Subject) (attest.Statement, error) {
	b, err := json.Marshal(p)
	if err != nil {
		return attest.Statement{}, err
	}
	return attest.Statement{
		Subject: []attest.Subject{
			{Name: subjectArtifact, SHA256: about.Artifact.Hex()}, {Name: subjectConfig, SHA256: about.Config.Hex()},
		},
		PredicateType: predicateType(p.Kind), Predicate: b,
	}, nil
}

// A Proof is a statement whose signature was checked.
type Proof struct {
	Passed
	About Subject
	Key   string // that signed it
}

// ReadProof checks an envelope against the trusted keys and reads what it proves.
func ReadProof(ring attest.Keyring, envelope []byte) (Proof, error) {
	st, key, err := ring.Verify(envelope)
	if err != nil {
		return Proof{}, err
	}
	p := Proof{Key: key}
	d := json.NewDecoder(strings.NewReader(string(st.Predicate)))
	d.DisallowUnknownFields()
	if err := d.Decode(&p.Passed); err != nil {
		return Proof{}, &attest.Error{Place: "predicate", Why: "is not that of a gate"}
	}
	if st.PredicateType != predicateType(p.Kind) {
		return Proof{}, &attest.Error{Place: "predicateType", Why: fmt.Sprintf("is not that of a gate of kind %q", p.Kind)}
	}
	for _, s := range st.Subject {
		switch s.Name {
		case subjectArtifact:
			p.About.Artifact = semper.Digest("sha256:" + s.SHA256)
		case subjectConfig:
			p.About.Config = semper.Digest("sha256:" + s.SHA256)
		}
	}
	if len(st.Subject) != 2 || p.About.Artifact == "" || p.About.Config == "" {
		return Proof{}, &attest.Error{Place: "subject", Why: "is not an artifact and a configuration"}
	}
	return p, nil
}
