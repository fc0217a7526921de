// Package certs is where the edge's TLS comes from: certificates, session tickets, and who may connect.
//
// # Certificates
//
// A [Manager] has certificates from four sources:
//
//   - files, which are read again when they change. One that cannot be used is told, and the one before it stays.
//   - an ACME certificate authority, by [ACME]: obtained, kept in a [Storage], renewed in time, stapled.
//   - a local authority ([semper/edge/certs/localca]), which edges share: for names that no other one gives certificates for.
//   - itself: self-signed certificates for development, for the names that are configured; or, when there is nothing else at
//     all, one for each name that is asked for.
//
// All of them are in one immutable index. A handshake loads it by one atomic pointer and takes no lock: the name the
// client asked for, else the wildcard above it, else the default. Where a name has several certificates the client gets
// the first it can use, ECDSA before RSA: a signature by a P-256 key costs a thirtieth of one by RSA-2048 in Go.
//
// # ACME
//
// The protocol is certmagic's, the schedule is ours: each name has a goroutine that sees to it, under supervision, and
// Close waits for all of them. The challenges are answered by the edge's own listeners: http-01 by [Manager.HTTPHandler], tls-alpn-01 by
// [Manager.TLSConfig]. State that other edges need, with the answers to challenges, is in the Storage, so any edge
// may be asked for what another one ordered. Work on one name is done under a lock that is a [Lease]: what is written
// under it is refused once it is lost.
//
// What outlives Close belongs to certmagic, for the process: its rate limiter, one goroutine for each authority, and
// idle connections to it, until that closes them.
//
// # Tickets
//
// The keys of session tickets are in the Storage too, so that sessions are resumed on every edge that shares it, and over
// an upgrade of this one. A key encrypts for [TicketPeriod]; it is there before it is used, and stays for as long as the
// tickets under it are good. Who takes the Storage can read the sessions of the last [TicketLife]; nothing older.
//
// There is no 0-RTT: crypto/tls gives no early data to a server over TCP, so no request can be replayed by it, and none
// needs a 425 (RFC 8470).
//
// # Concurrency
//
// All methods may be called at any time by anybody. One mutex guards what the index is made of, and nothing is waited for
// under it; it nests in the one that is held while files are read.
package certs
