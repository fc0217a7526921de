package files

import (
	"strconv"
	"strings"
)

// acceptance is the weight, from 0 to 1, that lines of Accept-Encoding give to a coding (RFC 9110, 12.5.3). identity that is
// not mentioned has next to none: it is acceptable, and worse than anything that is asked for.
func acceptance(lines []string, coding string) float64 {
	rest := -1.0 // of *
	for _, line := range lines {
		for item := range strings.SplitSeq(line, ",") {
			name, parameters, _ := strings.Cut(item, ";")
			name = strings.ToLower(strings.Trim(name, " \t"))
			if name == "x-gzip" {
				name = "gzip"
			}
			switch name {
			case coding:
				return quality(parameters)
			case "*":
				rest = quality(parameters)
			}
		}
	}
	switch {
	case coding == "identity":
		return 0.0001
	case rest >= 0:
		return rest
	}
	return 0
}

// quality is the q of parameters; one that is none counts as 0, so that nothing is sent which may not be wanted.
func quality(parameters string) float64 {
	for p := range strings.SplitSeq(parameters, ";") {
		name, value, ok := strings.Cut(strings.Trim(p, " \t"), "=")
		if !ok || !strings.EqualFold(name, "q") {
			continue
		}
		q, err := strconv.ParseFloat(value, 64)
		if err != nil || !(q >= 0 && q <= 1) {
			return 0
		}
		return q
	}
	return 1
}
