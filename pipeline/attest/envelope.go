package attest

import (
	"crypto/ed25519"
	"encoding/base64"
	"encoding/json"
	"strconv"
	"time"
)

// PayloadType is the DSSE payload type of an in-toto statement.
const PayloadType = "application/vnd.in-toto+json"

// Bounds of what is read.
const (
	MaxEnvelope   = 256 << 10 // bytes of an envelope
	maxSignatures = 16
)

// PAE is DSSE's pre-authentication encoding, version 1: what is signed in place of body, so that a signature for one type
// is none for another. See https://github.com/secure-systems-lab/dsse/blob/master/protocol.md.
func PAE(payloadType string, body []byte) []byte {
	b := make([]byte, 0, len(payloadType)+len(body)+32)
	b = append(b, "DSSEv1 "...)
	b = strconv.AppendInt(b, int64(len(payloadType)), 10)
	b = append(b, ' ')
	b = append(b, payloadType...)
	b = append(b, ' ')
	b = strconv.AppendInt(b, int64(len(body)), 10)
	b = append(b, ' ')
	return append(b, body...)
}

// Sign is st in an envelope signed with k. Equal arguments give equal bytes.
func Sign(k *Key, st Statement) ([]byte, error) {
	body, err := st.marshal()
	if err != nil {
		return nil, err
	}
	type wireSignature struct {
		KeyID string `json:"keyid"`
		Sig   string `json:"sig"`
	}
	envelope, err := json.Marshal(struct {
		Payload     string          `json:"payload"`
		PayloadType string          `json:"payloadType"`
		Signatures  []wireSignature `json:"signatures"`
	}{
		base64.StdEncoding.EncodeToString(body), PayloadType,
		[]wireSignature{{k.id, base64.StdEncoding.EncodeToString(ed25519.Sign(k.private, PAE(PayloadType, body)))}},
	})
	if err == nil && len(envelope) > MaxEnvelope {
		return nil, &Error{Place: "statement", Why: "is larger than " + strconv.Itoa(MaxEnvelope) + " bytes once signed"}
	}
	return envelope, err
}

// Verify is the statement in an envelope, and the id of the trusted key that signed it. The error is an [*Error], and
// [ErrUntrusted] where the envelope can be read and no trusted key has signed it.
//
// The time at which the key has to have been in use is the one its predicate says, under "at" in RFC 3339; a statement
// without it is taken from keys that are in use still.
func (r Keyring) Verify(envelope []byte) (Statement, string, error) {
	payloadType, body, sigs, err := openEnvelope(envelope)
	if err != nil {
		return Statement{}, "", err
	}
	if payloadType != PayloadType {
		return Statement{}, "", &Error{Place: "payloadType", Why: "is not " + PayloadType}
	}
	id, ok := r.signed(payloadType, body, sigs)
	if !ok {
		return Statement{}, "", &Error{Place: "signatures", Why: "none is of a trusted key", Err: ErrUntrusted}
	}
	if k := r[id]; k.Revoked {
		return Statement{}, "", &Error{Place: "signatures", Why: k.revocation(id), Err: ErrUntrusted}
	}
	st, err := parseStatement(body)
	if err != nil {
		return Statement{}, "", err
	}
	if at, dated := st.at(); dated && !r[id].during(at) || !dated && !r[id].Until.IsZero() {
		return Statement{}, "", &Error{Place: "signatures", Why: "the key " + id[:12] + " was not in use when this was signed", Err: ErrUntrusted}
	}
	return st, id, nil
}

// at is the time a statement's predicate says.
func (s Statement) at() (time.Time, bool) {
	var p struct {
		At time.Time `json:"at"`
	}
	if json.Unmarshal(s.Predicate, &p) != nil || p.At.IsZero() {
		return time.Time{}, false
	}
	return p.At, true
}

// openEnvelope reads the form of an envelope and nothing of what is in it.
func openEnvelope(envelope []byte) (payloadType string, body []byte, sigs []signature, err error) {
	if len(envelope) > MaxEnvelope {
		return "", nil, nil, &Error{Place: "envelope", Why: "is larger than " + strconv.Itoa(MaxEnvelope) + " bytes"}
	}
	o, err := readObject("envelope", envelope, "payload", "payloadType", "signatures")
	if err != nil {
		return "", nil, nil, err
	}
	if payloadType, err = o.text("payloadType", 1, 256); err != nil {
		return "", nil, nil, err
	}
	coded, err := o.text("payload", 1, MaxEnvelope)
	if err != nil {
		return "", nil, nil, err
	}
	body, ok := unbase64(coded)
	if !ok {
		return "", nil, nil, &Error{Place: "payload", Why: "is not base64"}
	}
	items, err := o.list("signatures", 1, maxSignatures)
	if err != nil {
		return "", nil, nil, err
	}
	for i, item := range items {
		s, err := readSignature("signatures["+strconv.Itoa(i)+"]", item)
		if err != nil {
			return "", nil, nil, err
		}
		sigs = append(sigs, s)
	}
	return payloadType, body, sigs, nil
}

func readSignature(place string, raw json.RawMessage) (signature, error) {
	o, err := readObject(place, raw, "sig", "keyid?")
	if err != nil {
		return signature{}, err
	}
	var s signature
	if _, there := o.fields["keyid"]; there {
		if s.keyID, err = o.text("keyid", 0, 256); err != nil {
			return signature{}, err
		}
	}
	coded, err := o.text("sig", 1, 1024)
	if err != nil {
		return signature{}, err
	}
	var ok bool
	if s.sig, ok = unbase64(coded); !ok {
		return signature{}, &Error{Place: place + ".sig", Why: "is not base64"}
	}
	return s, nil
}
