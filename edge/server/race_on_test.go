//go:build race

package server

// racing: the race detector allocates.
const racing = true
