// Package alone is semper edge run: the edge with a file in the place of everything else of semper.
//
// # Problem
//
// Whoever wants a proxy wants no fleet. Here a file says what elsewhere the store says, and a signal does what elsewhere
// the keeper does. What carries requests is the same edge.
//
// # One change
//
// A file is read whole, compared with what the edge can do, and only then anything changes: what may fail is done first, which
// is to bind new sockets, to open a new log and to read certificates; then rules, pools and whom to trust are swapped in as one
// value, and the log goes where it is to go; then sockets that nobody names any more are left, when whoever had connected has been
// taken. What is wrong is told with its line, and the edge goes on as before. It holds for the first file as for all later ones,
// but that the first one's faults end the process.
//
// # Signals
//
//	HUP         read the file again, and the files it names
//	USR1        open the access log anew, after it was renamed
//	USR2        start the program anew on the same sockets; drain when the new process is ready
//	TERM, INT   drain; the second one ends at once
//
// # Upgrade
//
// The sockets are bound once and never closed while anybody has them. The new process gets copies, and one end of a pipe;
// it writes to it when it accepts. Only then does the old one stop accepting: in between both do. A new process that dies, or says nothing
// for a minute, changes nothing. A service manager that was told who the main process is (systemd's MAINPID) is told again.
//
// # Who owns what
//
// Run owns a tree, and returns when all of it has ended:
//
//	edge (one for one, gives up)
//	├─ background      what works beside the requests, with the writer of the access log: see package edge
//	├─ helpers         (one for one, persists)
//	│  ├─ metrics ADDR answers scrapes
//	│  ├─ control      takes signals, and makes every change
//	│  ├─ trim         gives memory back in idle moments
//	│  ├─ drain        waits for the end of what is in flight, once that is asked for
//	│  └─ upgrade to N waits for a new process
//	├─ listeners       (one for one, gives up)
//	│  └─ http ADDR    one accept loop for each address
//	└─ certificates 1  what sees to them: see package certs. Others take its place when the file names other ones
//
// No part needs another one to be restarted with it. Control begins anew with the next signal: what it had opened for a change
// that broke off is given back. The edge serves without its helpers and goes on trying to have them. Without an accept loop, or
// its background, it does not serve as it should: after six faults in ten seconds Run ends with an error, for a service manager to see.
package alone
