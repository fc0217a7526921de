// Package extended turns the extended CONNECT of HTTP/2 on (RFC 8441), by which WebSockets go over it.
//
// Package http2 has it, but asks for it in the environment, and looks there only once, when it is initialised. This
// package is imported for what its initialisation does. That comes first: of the packages that may be initialised next, the
// first by path is, and this one needs nothing but os, while net/http, which http2 needs, needs packages behind it in
// that order. A test looks at what the server offers.
package extended

import "os"

func init() {
	const ask = "http2xconnect=1"
	set := os.Getenv("GODEBUG")
	if set != "" {
		set += ","
	}
	os.Setenv("GODEBUG", set+ask) //nolint:errcheck // then WebSockets go over HTTP/1.1
}
