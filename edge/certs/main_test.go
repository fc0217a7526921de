package certs

import (
	"testing"

	"go.uber.org/goleak"
)

// certmagic's rate limiter is one goroutine for each authority, for the life of the process.
func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("github.com/caddyserver/certmagic.(*RingBufferRateLimiter).loop"))
}
