package diff

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"sync"
	"unicode/utf8"
)

// DefaultMasks are the names whose values are never shown, wherever they stand in a path: in any case of letters, as a whole
// name or as the end of one behind - or _.
var DefaultMasks = []string{
	"authorization", "cookie", "set-cookie", "password", "passwd", "secret", "token", "api_key", "apikey", "access_key", "private_key", "credential", "credentials",
	"session", "session_id", "sessionid", "csrf", "jwt", "otp", "pin", "cvv", "cvc", "card", "card_number", "iban", "account_number", "ssn", "tax_id",
	"email", "mail", "phone", "mobile", "address", "street", "birthday", "birthdate", "date_of_birth", "dob", "first_name", "last_name", "firstname", "lastname", "full_name", "surname", "latitude", "longitude", "ip",
}

// secrets are values that are masked under any name: mail addresses, JSON Web Tokens, keys in PEM form, the numbers of bank
// accounts, and what stands behind Bearer or Basic.
var secrets = []*regexp.Regexp{
	regexp.MustCompile(`[^\s@<>"']+@[^\s@<>"']+\.[A-Za-z]{2,}`),
	regexp.MustCompile(`eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]*`),
	regexp.MustCompile(`-----BEGIN [A-Z ]+-----[^-]*(-----END [A-Z ]+-----)?`),
	regexp.MustCompile(`\b[A-Z]{2}\d{2}(?: ?[A-Z0-9]{4}){3,7}(?: ?[A-Z0-9]{1,3})?\b`),
	regexp.MustCompile(`(?i)\b(?:bearer|basic)\s+[A-Za-z0-9._~+/=-]{6,}`),
}

// maxShown bounds an example, in bytes.
const maxShown = 120

// masks hides values by name.
type masks []string

func newMasks(more []string) masks {
	m := slices.Clone(DefaultMasks)
	for _, name := range more {
		m = append(m, fold(name))
	}
	for i, name := range m {
		m[i] = fold(name)
	}
	return m
}

func fold(name string) string { return strings.ToLower(strings.ReplaceAll(name, "-", "_")) }

// hides reports whether a value under name is not shown.
func (m masks) hides(name string) bool {
	name = fold(snake(name))
	for _, secret := range m {
		if name == secret || strings.HasSuffix(name, "_"+secret) {
			return true
		}
	}
	return false
}

// snake is accessToken as access_Token.
func snake(name string) string {
	var b strings.Builder
	lower := false
	for _, r := range name {
		if upper := r >= 'A' && r <= 'Z'; upper && lower {
			b.WriteByte('_')
		}
		lower = r >= 'a' && r <= 'z' || r >= '0' && r <= '9'
		b.WriteRune(r)
	}
	return b.String()
}

// show is v as an example: masked, and short.
func (m masks) show(p Path, v any) string {
	if slices.ContainsFunc(p, m.hides) {
		return hidden(v)
	}
	var text string
	switch v := v.(type) {
	case nil:
		return "null"
	case string:
		text = quote(scrub(v))
	case raw:
		return string(v)
	default:
		b, err := json.Marshal(m.copy(v))
		if err != nil {
			return "a value that cannot be shown"
		}
		text = string(b)
	}
	return shorten(text)
}

// copy is v without what is hidden.
func (m masks) copy(v any) any {
	switch v := v.(type) {
	case string:
		return scrub(v)
	case json.Number:
		if s := scrub(string(v)); s != string(v) {
			return s
		}
		return v
	case []any:
		out := make([]any, len(v))
		for i, e := range v {
			out[i] = m.copy(e)
		}
		return out
	case record:
		return m.copy(map[string]any(v))
	case map[string]any:
		out := make(map[string]any, len(v))
		for k, e := range v {
			if m.hides(k) {
				out[scrub(k)] = hidden(e)
			} else {
				out[scrub(k)] = m.copy(e)
			}
		}
		return out
	}
	return v
}

// raw is text that was made here, and says nothing of what was sent but sizes and hashes.
type raw string

// hidden says that there is a value, of which type and of which length, and no more.
func hidden(v any) string {
	if s, ok := v.(string); ok {
		return fmt.Sprintf("(masked, %d characters)", utf8.RuneCountInString(s))
	}
	if v == nil {
		return "null"
	}
	return fmt.Sprintf("(masked, %s)", typeOf(v))
}

func scrub(s string) string {
	for _, re := range secrets {
		s = re.ReplaceAllString(s, "(masked)")
	}
	return cards().ReplaceAllStringFunc(s, func(digits string) string {
		if luhn(digits) {
			return "(masked)"
		}
		return digits
	})
}

// cards are as many digits as payment cards have. Other numbers are as long: a card's last digit is a check of the rest.
var cards = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`\b(?:\d[ -]?){12,18}\d\b`) })

// luhn is the check of ISO/IEC 7812-1.
func luhn(digits string) bool {
	sum, double := 0, false
	for i := len(digits) - 1; i >= 0; i-- {
		d := int(digits[i]) - '0'
		if d < 0 || d > 9 {
			continue
		}
		if double {
			if d *= 2; d > 9 {
				d -= 9
			}
		}
		sum += d
		double = !double
	}
	return sum%10 == 0
}

func quote(s string) string {
	b, _ := json.Marshal(s) //nolint:errcheck // a string is always some JSON
	return string(b)
}

func shorten(s string) string {
	if len(s) <= maxShown {
		return s
	}
	cut := maxShown
	for cut > 0 && !utf8.RuneStart(s[cut]) {
		cut--
	}
	return s[:cut] + "…"
}
