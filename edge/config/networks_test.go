package config

import (
	"net/netip"
	"testing"
)

func TestNetworks(t *testing.T) {
	t.Parallel()
	none := &Networks{}
	if none.With(nil) != none {
		t.Error("nothing more made something else")
	}
	n := none.With([]netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}).With([]netip.Prefix{netip.MustParsePrefix("2001:db8::/32")})
	if len(*none) != 0 || len(*n) != 2 {
		t.Errorf("%v and %v", *none, *n)
	}
	for list, want := range map[string]string{
		"192.0.2.1":                          "192.0.2.1",
		"198.51.100.9, 192.0.2.1":            "192.0.2.1",
		"192.0.2.1, 10.1.1.1 ,2001:db8::1":   "192.0.2.1",
		"10.9.9.9,10.1.1.1":                  "10.9.9.9",
		"192.0.2.1, ::ffff:10.1.1.1":         "192.0.2.1",
		"192.0.2.1, unknown, 10.1.1.1":       "10.1.1.1",
		"unknown":                            "",
		"":                                   "",
		"192.0.2.1, fe80::1%eth0, 10.0.0.10": "fe80::1",
	} {
		got, ok := n.Client([]byte(list))
		if ok != (want != "") || ok && got.String() != want {
			t.Errorf("%q: %v, %v; not %q", list, got, ok, want)
		}
	}
}
