// Package cli is the verbs: it turns a command line into calls of the API and their answers into
// something to read, or to parse. It runs no engine; what runs on the server's side is handed in.
//
// Data goes to stdout, talk to stderr. Every failure ends with what happened, why, and what to do
// next, and with an exit code that means one thing.
package cli
