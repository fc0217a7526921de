// Package alone is semper edge run: the edge with a file in the place of everything else of semper.
//
// # Problem
//
// Whoever wants a proxy wants no fleet. Here a file says what elsewhere the store says, and a signal does what elsewhere
// the keeper does. What carries requests is the same edge.
//
// # One change
//
// A file is read whole, compared with what the edge can do, and only then anything changes: new sockets are bound first, for
// that may fail; then rules and pools are swapped in as one value; then sockets that nobody names any more are left. What
// is wrong is told with its line, and the edge goes on as before. It holds for the first file as for all later ones, but that
// the first one's faults end the process.
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
// Run owns everything: the goroutine that calls it has the signals and makes every change; one goroutine for each socket
// accepts; one waits for a new process. Run returns when all of them have ended.
package alone
