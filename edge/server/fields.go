package server

import (
	"iter"
	"log/slog"
	"maps"
	"net/http"
	"net/textproto"
	"slices"
	"strings"

	"golang.org/x/net/http/httpguts"

	"semper/edge/http1"
)

// fields are those of a head, as a handler has set them.
type fields struct {
	lines     []byte   // but what frames the message
	length    int64    // Content-Length; negative for none
	announced []string // the names in Trailer
	trailers  bool     // there will be fields behind the content
	hasType   bool     // there is a Content-Type, or is to be none
	encoded   bool     // Content-Encoding
	hasDate   bool
	closes    bool // Connection says close
}

// set takes the fields of h. What no field can be is left out, and logged: to repair it would be to guess.
func (f *fields) set(h http.Header, log *slog.Logger) {
	*f = fields{length: lengthOf(h["Content-Length"])}
	for _, k := range slices.Sorted(maps.Keys(h)) {
		values := h[k]
		switch k {
		case "Content-Length", "Transfer-Encoding": // made from what is decided
			continue
		case "Connection":
			if f.closes = httpguts.HeaderValuesContainsToken(values, "close"); f.closes {
				continue // said again where it is decided
			}
		case "Content-Type":
			f.hasType = true
		case "Content-Encoding":
			f.encoded = len(values) > 0 && values[0] != ""
		case "Date":
			f.hasDate = true
		case "Trailer":
			f.announce(values)
		}
		if strings.HasPrefix(k, http.TrailerPrefix) {
			f.trailers = true
			continue
		}
		for _, v := range values {
			var ok bool
			if f.lines, ok = http1.AppendField(f.lines, k, v); !ok {
				log.Warn("a handler set a field that is none: it is left out", "name", k, "value", v)
			}
		}
	}
}

func (f *fields) announce(values []string) {
	f.trailers = true
	for _, line := range values {
		for name := range strings.SplitSeq(line, ",") {
			if key := textproto.CanonicalMIMEHeaderKey(strings.Trim(name, " \t")); httpguts.ValidTrailerHeader(key) {
				f.announced = append(f.announced, key)
			}
		}
	}
}

// end are the fields behind the content: those that were announced, and those that h names as such.
func (f *fields) end(h http.Header) iter.Seq2[string, string] {
	return func(yield func(string, string) bool) {
		for _, k := range slices.Sorted(maps.Keys(h)) {
			name, ok := strings.CutPrefix(k, http.TrailerPrefix)
			if !ok && !slices.Contains(f.announced, k) || ok && !httpguts.ValidTrailerHeader(textproto.CanonicalMIMEHeaderKey(name)) {
				continue
			}
			for _, v := range h[k] {
				if !yield(name, v) {
					return
				}
			}
		}
	}
}
