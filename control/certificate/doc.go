// Package certificate says what is to be told of the certificates that edges have: events when something changes, warnings of an environment and
// the checks of doctor.
//
// It is functions of what edges say, the route table and the time: it asks nobody and keeps nothing. It judges no certificate; edges do.
package certificate
