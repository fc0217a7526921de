package compress

import (
	"strconv"
	"strings"
)

// Choose is the coding, of those there are, that a client likes best by its Accept-Encoding (RFC 9110, 12.5.3); of several
// that it likes equally the first. It is empty where the response is to stay as it is.
func Choose(accept, codings []string) (best string) {
	var most float64
	for _, coding := range codings {
		if _, known := encoders[coding]; !known {
			continue
		}
		if q := weight(accept, coding); q > most {
			best, most = coding, q
		}
	}
	if best != "" && weightOf(accept, "identity") > most {
		return ""
	}
	return best
}

// weight is how much a client likes a coding, by its name or by what it says of all others; 0: not at all.
func weight(accept []string, coding string) float64 {
	if q := weightOf(accept, coding); q >= 0 {
		return q
	}
	return max(weightOf(accept, "*"), 0)
}

// weightOf is what a client says of a name; negative: nothing.
func weightOf(accept []string, name string) float64 {
	for _, line := range accept {
		for part := range strings.SplitSeq(line, ",") {
			coding, params, _ := strings.Cut(part, ";")
			if coding = strings.ToLower(strings.TrimSpace(coding)); coding == "x-gzip" {
				coding = Gzip
			}
			if coding == name {
				return quality(params)
			}
		}
	}
	return -1
}

// quality reads "q=0.5"; 1 where it does not stand there, 0 where it is none.
func quality(params string) float64 {
	for p := range strings.SplitSeq(params, ";") {
		key, value, found := strings.Cut(strings.TrimSpace(p), "=")
		if !found || !strings.EqualFold(key, "q") {
			continue
		}
		q, err := strconv.ParseFloat(value, 64)
		if err != nil || q < 0 || q > 1 {
			return 0
		}
		return q
	}
	return 1
}
