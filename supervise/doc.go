// Package supervise restarts what ends: OTP supervision over any unit.
package supervise
