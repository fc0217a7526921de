package webhook

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"strconv"
	"strings"
	"time"
)

// Header fields of a message.
const (
	HeaderID        = "webhook-id"
	HeaderTimestamp = "webhook-timestamp"
	HeaderSignature = "webhook-signature"
)

// prefix of secrets in their text form: the rest is base64.
const prefix = "whsec_"

// Tolerance is how old or early a message may be for [Verify].
const Tolerance = 5 * time.Minute

// Key is what a secret signs with: the bytes in "whsec_…", or those of any other text itself.
func Key(secret []byte) ([]byte, error) {
	text := strings.TrimSpace(string(secret))
	coded, ok := strings.CutPrefix(text, prefix)
	if !ok {
		if len(text) < 16 {
			return nil, errors.New("the secret is shorter than 16 bytes")
		}
		return []byte(text), nil
	}
	key, err := base64.StdEncoding.DecodeString(coded)
	if err != nil || len(key) < 16 {
		return nil, errors.New("the secret is not whsec_ and the base64 of at least 16 bytes")
	}
	return key, nil
}

// Sign is the value of [HeaderSignature].
func Sign(key []byte, id string, at time.Time, body []byte) string {
	return "v1," + base64.StdEncoding.EncodeToString(mac(key, id, strconv.FormatInt(at.Unix(), 10), body))
}

func mac(key []byte, id, timestamp string, body []byte) []byte {
	h := hmac.New(sha256.New, key)
	h.Write([]byte(id + "." + timestamp + "."))
	h.Write(body)
	return h.Sum(nil)
}

// Verify reports whether one of the signatures in a message's header is that of key, and its time near now.
func Verify(key []byte, id, timestamp, signatures string, body []byte, now time.Time) bool {
	seconds, err := strconv.ParseInt(timestamp, 10, 64)
	if err != nil || strconv.FormatInt(seconds, 10) != timestamp {
		return false
	}
	if age := now.Sub(time.Unix(seconds, 0)); age > Tolerance || age < -Tolerance {
		return false
	}
	want := mac(key, id, timestamp, body)
	good := false
	for s := range strings.FieldsSeq(signatures) {
		coded, ok := strings.CutPrefix(s, "v1,")
		if !ok {
			continue
		}
		got, err := base64.StdEncoding.DecodeString(coded)
		good = err == nil && hmac.Equal(got, want) || good
	}
	return good
}
