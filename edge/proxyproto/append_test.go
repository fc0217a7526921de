package proxyproto

import (
	"bytes"
	"errors"
	"net/netip"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestAppendV1(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		src, dst netip.AddrPort
		want     string
	}{
		{src4, dst4, "PROXY TCP4 192.168.0.1 192.168.0.11 56324 443\r\n"},
		{src6, dst6, "PROXY TCP6 2001:db8::1 2001:db8::2 56324 443\r\n"},
		{src4, dst6, "PROXY TCP6 ::ffff:192.168.0.1 2001:db8::2 56324 443\r\n"},
		{addr("[::ffff:192.168.0.1]:56324"), dst4, "PROXY TCP4 192.168.0.1 192.168.0.11 56324 443\r\n"},
		{addr("[fe80::1%eth0]:1"), addr("[fe80::2%eth0]:2"), "PROXY TCP6 fe80::1 fe80::2 1 2\r\n"},
		{netip.AddrPort{}, dst4, "PROXY UNKNOWN\r\n"},
	} {
		if got := string(AppendV1([]byte("x"), c.src, c.dst)); got != "x"+c.want {
			t.Errorf("%s to %s: %q, want %q", c.src, c.dst, got, c.want)
		}
	}
}

func TestAppendV2(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		h    Header
		want string
	}{
		{"TCP", tcp4, v2(0x21, 0x11, four)},
		{"UDP", Header{Protocol: UDP4, Source: src6, Destination: dst6}, v2(0x21, 0x22, six)},
		{"local", Header{Local: true, Source: src4, Destination: dst4}, v2(0x20, 0, "")},
		{"no addresses", Header{}, v2(0x21, 0, "")},
		{"checksum", Header{Source: src4, Destination: dst4, Checksum: true}, v2(0x21, 0x11, four+"\x03\x00\x04"+crcOfFour)},
		{"extension", Header{Source: src4, Destination: dst4, Extensions: []byte("\x02\x00\x01a")}, v2(0x21, 0x11, four+"\x02\x00\x01a")},
	} {
		got, err := AppendV2([]byte("x"), c.h)
		if err != nil || string(got) != "x"+c.want {
			t.Errorf("%s: %q, %v; want %q", c.name, got, err, c.want)
		}
	}
	for _, c := range []struct {
		ext  string
		want error
	}{
		{"\x02\x00\x02a", errV2TLV},
		{"\x05\x00\x81" + strings.Repeat("a", 129), errV2TLV},
		{"\x03\x00\x04abcd", errV2Twice},
		{"\x04\x0f\xff" + strings.Repeat("x", 0xfff), errV2Long},
	} {
		got, err := AppendV2([]byte("x"), Header{Source: src4, Destination: dst4, Extensions: []byte(c.ext)})
		if !errors.Is(err, c.want) || string(got) != "x" {
			t.Errorf("%q: %q, %v; want %v", c.ext, got, err, c.want)
		}
	}
}

func drawAddr(t *rapid.T) netip.AddrPort {
	p := rapid.Uint16().Draw(t, "port")
	if rapid.Bool().Draw(t, "six") {
		return netip.AddrPortFrom(netip.AddrFrom16([16]byte(rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "ip6"))), p)
	}
	return netip.AddrPortFrom(netip.AddrFrom4([4]byte(rapid.SliceOfN(rapid.Byte(), 4, 4).Draw(t, "ip4"))), p)
}

// TestWhatIsWrittenIsRead by our own parser as what was meant.
func TestWhatIsWrittenIsRead(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		src, dst := drawAddr(t), drawAddr(t)
		var ext []byte
		for _, v := range rapid.SliceOfN(rapid.SliceOfN(rapid.Byte(), 0, 40), 0, 5).Draw(t, "extensions") {
			ext, _ = AppendTLV(ext, Type(rapid.SampledFrom([]int{1, 2, 4, 5, 0x30, 0xe0}).Draw(t, "type")), v)
		}
		h := Header{Source: src, Destination: dst, Extensions: ext, Checksum: rapid.Bool().Draw(t, "checksum")}
		two, err := AppendV2(nil, h)
		if err != nil {
			t.Fatal(err)
		}
		for _, wire := range [][]byte{AppendV1(nil, src, dst), two} {
			got, n, err := Parse(append(wire, "GET"...))
			if err != nil || n != len(wire) {
				t.Fatalf("%q: %d bytes, %v", wire, n, err)
			}
			for _, p := range [][2]netip.AddrPort{{got.Source, src}, {got.Destination, dst}} {
				if p[0].Addr().Unmap() != p[1].Addr().Unmap() || p[0].Port() != p[1].Port() {
					t.Fatalf("%s became %s", p[1], p[0])
				}
			}
			if got.Version == 2 && (got.Checksum != h.Checksum || !bytes.HasPrefix(got.Extensions, ext)) {
				t.Fatalf("%+v became %+v", h, got)
			}
		}
	})
}

// FuzzParse: never a panic, nothing beyond what came, the same answer however much stands behind, and a header that was
// taken can be written and is read again as the same.
func FuzzParse(f *testing.F) {
	for _, c := range accepted {
		f.Add([]byte(c.in + "GET /"))
	}
	for _, c := range refused {
		f.Add([]byte(c.in))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		h, n, err := Parse(in)
		if n < 0 || n > len(in) || n > MaxLen || n > 0 && err != nil {
			t.Fatalf("%d bytes of %d, %v", n, len(in), err)
		}
		if n == 0 {
			if err == nil && len(in) >= MaxLen {
				t.Fatal("still incomplete at the most it may have")
			}
			return
		}
		if again, m, err := Parse(in[:n]); err != nil || m != n || !equal(h, again) {
			t.Fatalf("alone: %+v, %d bytes, %v; before: %+v, %d", again, m, err, h, n)
		}
		if _, m, _ := Parse(in[:n-1]); m != 0 {
			t.Fatalf("taken without its last byte: %d of %d", m, n)
		}
		for range h.TLVs() {
			n--
		}
		if n <= 0 {
			t.Fatal("more extensions than bytes")
		}
		var wire []byte
		if h.Version == 1 {
			wire = AppendV1(nil, h.Source, h.Destination)
		} else if wire, err = AppendV2(nil, Header{Local: h.Local, Protocol: h.Protocol, Source: h.Source, Destination: h.Destination, Checksum: true}); err != nil {
			t.Fatal(err)
		}
		got, _, err := Parse(wire)
		if err != nil || got.Local != h.Local || got.HasAddresses() != h.HasAddresses() ||
			got.Source.Port() != h.Source.Port() || got.Source.Addr().Unmap() != h.Source.Addr().Unmap() {
			t.Fatalf("%+v, written: %q, read: %+v, %v", h, wire, got, err)
		}
	})
}
