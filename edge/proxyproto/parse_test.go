package proxyproto

import (
	"bytes"
	"errors"
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// equal ignores what backs the extensions.
func equal(a, b Header) bool {
	same := bytes.Equal(a.Extensions, b.Extensions)
	a.Extensions, b.Extensions = nil, nil
	return same && cmp.Equal(a, b, cmp.Comparer(func(x, y netip.AddrPort) bool { return x == y }))
}

func addr(s string) netip.AddrPort { return netip.MustParseAddrPort(s) }

const sig = "\r\n\r\n\x00\r\nQUIT\n"

// v2 is a block with its length.
func v2(verCmd, fam byte, rest string) string {
	return sig + string([]byte{verCmd, fam, byte(len(rest) >> 8), byte(len(rest))}) + rest
}

const (
	four = "\xc0\xa8\x00\x01\xc0\xa8\x00\x0b\xdc\x04\x01\xbb"
	six  = "\x20\x01\x0d\xb8\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01" +
		"\x20\x01\x0d\xb8\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02" + "\xdc\x04\x01\xbb"
)

var (
	src4, dst4 = addr("192.168.0.1:56324"), addr("192.168.0.11:443")
	src6, dst6 = addr("[2001:db8::1]:56324"), addr("[2001:db8::2]:443")
	tcp4       = Header{Version: 2, Protocol: TCP4, Source: src4, Destination: dst4}
)

var accepted = []struct {
	name, in string
	want     Header
}{
	// The example of the specification, 2.1, and its longest lines.
	{"v1", "PROXY TCP4 192.168.0.1 192.168.0.11 56324 443\r\n", Header{Version: 1, Protocol: TCP4, Source: src4, Destination: dst4}},
	{"v1 longest", "PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535\r\n",
		Header{Version: 1, Protocol: TCP4, Source: addr("255.255.255.255:65535"), Destination: addr("255.255.255.255:65535")}},
	{"v1 IPv6", "PROXY TCP6 2001:db8::1 2001:DB8::2 56324 443\r\n", Header{Version: 1, Protocol: TCP6, Source: src6, Destination: dst6}},
	{"v1 IPv6 longest", "PROXY TCP6 ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535\r\n",
		Header{Version: 1, Protocol: TCP6, Source: addr("[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535"),
			Destination: addr("[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535")}},
	{"v1 mapped", "PROXY TCP6 ::ffff:192.168.0.1 2001:db8::2 56324 443\r\n",
		Header{Version: 1, Protocol: TCP6, Source: addr("[::ffff:192.168.0.1]:56324"), Destination: dst6}},
	{"v1 port 0", "PROXY TCP4 1.2.3.4 5.6.7.8 0 0\r\n", Header{Version: 1, Protocol: TCP4, Source: addr("1.2.3.4:0"), Destination: addr("5.6.7.8:0")}},
	{"v1 unknown", "PROXY UNKNOWN\r\n", Header{Version: 1}},
	{"v1 unknown longest", "PROXY UNKNOWN ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535\r\n", Header{Version: 1}},
	{"v1 unknown, anything", "PROXY UNKNOWN \x00 what ever\r\n", Header{Version: 1}},

	{"v2", v2(0x21, 0x11, four), tcp4},
	{"v2 UDP", v2(0x21, 0x12, four), Header{Version: 2, Protocol: UDP4, Source: src4, Destination: dst4}},
	{"v2 IPv6", v2(0x21, 0x21, six), Header{Version: 2, Protocol: TCP6, Source: src6, Destination: dst6}},
	{"v2 UDP over IPv6", v2(0x21, 0x22, six), Header{Version: 2, Protocol: UDP6, Source: src6, Destination: dst6}},
	{"v2 unix", v2(0x21, 0x31, strings.Repeat("a", 216)), Header{Version: 2, Protocol: UnixStream}},
	{"v2 unix datagram", v2(0x21, 0x32, strings.Repeat("a", 216)), Header{Version: 2, Protocol: UnixDatagram}},
	{"v2 unspec", v2(0x21, 0, ""), Header{Version: 2}},
	{"v2 local", v2(0x20, 0, ""), Header{Version: 2, Local: true}},
	{"v2 local with a block that is ignored", v2(0x20, 0xff, "junk"), Header{Version: 2, Local: true}},
	{"v2 TLVs", v2(0x21, 0x11, four+"\x04\x00\x00"+"\x02\x00\x01a"),
		Header{Version: 2, Protocol: TCP4, Source: src4, Destination: dst4, Extensions: []byte("\x04\x00\x00\x02\x00\x01a")}},
	{"v2 SSL", v2(0x21, 0x11, four+"\x20\x00\x0f\x01\x00\x00\x00\x00\x21\x00\x07TLSv1.3"),
		Header{Version: 2, Protocol: TCP4, Source: src4, Destination: dst4, Extensions: []byte("\x20\x00\x0f\x01\x00\x00\x00\x00\x21\x00\x07TLSv1.3")}},
	// The value is that of a bitwise CRC32c, polynomial 0x82f63b78, made apart from this code.
	{"v2 checksum", v2(0x21, 0x11, four+"\x03\x00\x04"+crcOfFour),
		Header{Version: 2, Protocol: TCP4, Source: src4, Destination: dst4, Checksum: true, Extensions: []byte("\x03\x00\x04" + crcOfFour)}},
	{"v2 longest", v2(0x21, 0x11, four+longest), Header{Version: 2, Protocol: TCP4, Source: src4, Destination: dst4, Extensions: []byte(longest)}},
}

const (
	crcOfFour = "\x1c\x1a\xe9\xc6"
	crcOfTwo  = "\xfb\xf8\x01\x8c" // with an empty checksum behind
)

var longest = "\x04\x0f\xe1" + strings.Repeat("x", MaxLen-16-12-3)

var refused = []struct {
	name, in string
	want     error
}{
	{"request", "GET / HTTP/1.1\r\n", ErrAbsent},
	{"TLS", "\x16\x03\x01", ErrAbsent},
	{"h2", "PRI * HTTP/2.0", ErrAbsent},
	{"empty lines", "\r\n\r\nGET", ErrAbsent},
	{"lower case", "proxy TCP4", ErrAbsent},
	{"no space", "PROXY\r\n", ErrAbsent},

	{"v1 LF", "PROXY UNKNOWN\n", errV1End},
	{"v1 CR", "PROXY UNKNOWN\r.", errV1End},
	{"v1 UDP", "PROXY UDP4 1.2.3.4 5.6.7.8 1 2\r\n", errV1Protocol},
	{"v1 nothing", "PROXY \r\n", errV1Protocol},
	{"v1 two spaces", "PROXY  TCP4 1.2.3.4 5.6.7.8 1 2\r\n", errV1Protocol},
	{"v1 two spaces later", "PROXY TCP4 1.2.3.4  5.6.7.8 1 2\r\n", errV1Fields},
	{"v1 tab", "PROXY TCP4\t1.2.3.4 5.6.7.8 1 2\r\n", errV1Protocol},
	{"v1 short", "PROXY TCP4 1.2.3.4 5.6.7.8 1\r\n", errV1Fields},
	{"v1 only protocol", "PROXY TCP4\r\n", errV1Fields},
	{"v1 more", "PROXY TCP4 1.2.3.4 5.6.7.8 1 2 3\r\n", errV1Fields},
	{"v1 space at the end", "PROXY TCP4 1.2.3.4 5.6.7.8 1 2 \r\n", errV1Fields},
	{"v1 wrong family", "PROXY TCP4 ::1 ::1 1 2\r\n", errV1Address},
	{"v1 wrong family 6", "PROXY TCP6 1.2.3.4 5.6.7.8 1 2\r\n", errV1Address},
	{"v1 octal", "PROXY TCP4 01.2.3.4 5.6.7.8 1 2\r\n", errV1Address},
	{"v1 three numbers", "PROXY TCP4 1.2.3 5.6.7.8 1 2\r\n", errV1Address},
	{"v1 256", "PROXY TCP4 1.2.3.256 5.6.7.8 1 2\r\n", errV1Address},
	{"v1 zone", "PROXY TCP6 fe80::1%eth0 ::1 1 2\r\n", errV1Address},
	{"v1 two double colons", "PROXY TCP6 1::2::3 ::1 1 2\r\n", errV1Address},
	{"v1 port zeros", "PROXY TCP4 1.2.3.4 5.6.7.8 01 2\r\n", errV1Port},
	{"v1 port sign", "PROXY TCP4 1.2.3.4 5.6.7.8 +1 2\r\n", errV1Port},
	{"v1 port 65536", "PROXY TCP4 1.2.3.4 5.6.7.8 1 65536\r\n", errV1Port},
	{"v1 port 6 digits", "PROXY TCP4 1.2.3.4 5.6.7.8 1 100000\r\n", errV1Port},
	{"v1 too long", "PROXY UNKNOWN " + strings.Repeat("a", MaxV1), errV1Long},
	{"v1 CR at the last", "PROXY UNKNOWN " + strings.Repeat("a", MaxV1-14-1) + "\r\n", errV1Long},

	{"v2 version 1", v2(0x11, 0x11, four), errV2Version},
	{"v2 version 3", v2(0x31, 0x11, four), errV2Version},
	{"v2 command", v2(0x22, 0x11, four), errV2Command},
	{"v2 family", v2(0x21, 0x41, four), errV2Protocol},
	{"v2 transport", v2(0x21, 0x13, four), errV2Protocol},
	{"v2 half unspecified", v2(0x21, 0x10, four), errV2Protocol},
	{"v2 short of addresses", v2(0x21, 0x11, four[1:]), errV2Short},
	{"v2 short of IPv6", v2(0x21, 0x21, four), errV2Short},
	{"v2 TLV cut", v2(0x21, 0x11, four+"\x04\x00"), errV2TLV},
	{"v2 TLV too long", v2(0x21, 0x11, four+"\x04\x00\x02a"), errV2TLV},
	{"v2 TLV far too long", v2(0x21, 0x11, four+"\x04\xff\xffa"), errV2TLV},
	{"v2 unspec with junk", v2(0x21, 0, "junk"), errV2TLV},
	{"v2 checksum of 3 bytes", v2(0x21, 0x11, four+"\x03\x00\x03abc"), errV2TLV},
	{"v2 unique id of 129 bytes", v2(0x21, 0x11, four+"\x05\x00\x81"+strings.Repeat("a", 129)), errV2TLV},
	{"v2 SSL short", v2(0x21, 0x11, four+"\x20\x00\x04abcd"), errV2TLV},
	{"v2 SSL with a bad TLV", v2(0x21, 0x11, four+"\x20\x00\x08\x01\x00\x00\x00\x00\x21\x00\x07"), errV2TLV},
	{"v2 wrong checksum", v2(0x21, 0x11, four+"\x03\x00\x04\x00\x00\x00\x00"), errV2Checksum},
	{"v2 two checksums", v2(0x21, 0x11, four+"\x03\x00\x04"+crcOfTwo+"\x03\x00\x04\x00\x00\x00\x00"), errV2Twice},
	{"v2 too long", sig + "\x21\x11\x10\x00", errV2Long},
}

func TestParse(t *testing.T) {
	t.Parallel()
	for _, c := range accepted {
		for _, behind := range []string{"", "GET / HTTP/1.1\r\nHost: 192.168.0.11\r\n\r\n", "\r\n", c.in} {
			h, n, err := Parse([]byte(c.in + behind))
			if err != nil || n != len(c.in) || !equal(h, c.want) {
				t.Errorf("%s: %+v, %d bytes, %v; want %+v, %d bytes", c.name, h, n, err, c.want, len(c.in))
			}
		}
		for i := range len(c.in) {
			if h, n, err := Parse([]byte(c.in[:i])); n != 0 || err != nil || !equal(h, Header{}) {
				t.Fatalf("%s: the first %d bytes of %d give %d, %v", c.name, i, len(c.in), n, err)
			}
		}
	}
}

func TestParseRefuses(t *testing.T) {
	t.Parallel()
	for _, c := range refused {
		_, n, err := Parse([]byte(c.in))
		if n != 0 || !errors.Is(err, c.want) {
			t.Errorf("%s: %d bytes, %v; want %v", c.name, n, err, c.want)
		}
		var typed *Error
		if !errors.As(err, &typed) {
			t.Errorf("%s: %T", c.name, err)
		}
		// Nothing that is refused as a whole is taken for a header while it comes.
		for i := range len(c.in) {
			if _, n, _ := Parse([]byte(c.in[:i])); n != 0 {
				t.Errorf("%s: the first %d bytes were taken", c.name, i)
			}
		}
	}
}

func TestTLVs(t *testing.T) {
	t.Parallel()
	var ext []byte
	for _, e := range []struct {
		t Type
		v string
	}{{ALPN, "h2"}, {NoOp, ""}, {Authority, "example.com"}, {UniqueID, "42"}, {NetNS, "a"}} {
		var err error
		if ext, err = AppendTLV(ext, e.t, []byte(e.v)); err != nil {
			t.Fatal(err)
		}
	}
	h := Header{Extensions: ext}
	if v, ok := h.TLV(Authority); !ok || string(v) != "example.com" {
		t.Errorf("authority %q, %t", v, ok)
	}
	if _, ok := h.TLV(SSL); ok {
		t.Error("an extension that is not there")
	}
	if v, ok := h.TLV(NoOp); !ok || len(v) != 0 {
		t.Errorf("padding %q, %t", v, ok)
	}
	if _, err := AppendTLV(nil, NoOp, make([]byte, 1<<16)); !errors.Is(err, errV2Long) {
		t.Errorf("a value of 64 KiB: %v", err)
	}
}

// TestParseAllocates at most the two texts of version 1's addresses. It is not parallel: AllocsPerRun wants to be alone.
func TestParseAllocates(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	for _, c := range accepted {
		in := []byte(c.in)
		if n := testing.AllocsPerRun(100, func() { sinkHeader, sinkInt, sinkErr = Parse(in) }); n > 2*float64(c.want.Version%2) {
			t.Errorf("%s: %v allocations", c.name, n)
		}
	}
}

var (
	sinkHeader Header
	sinkInt    int
	sinkErr    error
)

func BenchmarkParse(b *testing.B) {
	for _, name := range []string{"v1", "v2", "v2 checksum"} {
		for _, c := range accepted {
			if c.name != name {
				continue
			}
			b.Run(name, func(b *testing.B) {
				b.ReportAllocs()
				in := []byte(c.in)
				for b.Loop() {
					sinkHeader, sinkInt, sinkErr = Parse(in)
				}
			})
		}
	}
}
