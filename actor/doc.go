// Package actor gives Go programs processes in the sense of Erlang/OTP: state with a mailbox, that nobody else touches,
// that can end without taking anything with it, and whose end others are told of.
package actor
