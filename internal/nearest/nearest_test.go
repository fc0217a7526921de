package nearest

import (
	"strings"
	"testing"
)

func TestNearest(t *testing.T) {
	t.Parallel()
	words := []string{"instances", "command", "health", "stop", "user", "type", "env", "limits"}
	for word, want := range map[string]string{
		"instnaces": "instances", "Instances": "instances", "comand": "command", "helth": "health", "stpo": "stop", "usr": "user", "zzz": "", "": "", "x": "",
		strings.Repeat("a", 1000): "",
	} {
		if got := To(word, words); got != want {
			t.Errorf("%.20q: %q, want %q", word, got, want)
		}
	}
	for _, c := range []struct {
		a, b string
		want int
	}{{"", "", 0}, {"a", "", 1}, {"ab", "ba", 1}, {"kitten", "sitting", 3}, {"ü", "u", 1}} {
		if got := distance(c.a, c.b); got != c.want || distance(c.b, c.a) != got {
			t.Errorf("%q to %q: %d, want %d", c.a, c.b, got, c.want)
		}
	}
}
