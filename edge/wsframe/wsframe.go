// Package wsframe follows WebSocket frames in a byte stream without holding them.
package wsframe
