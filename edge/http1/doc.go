// Package http1 is a strict HTTP/1.1 engine without I/O.
package http1
