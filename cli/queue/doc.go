// Package queue has the commands of queues: semper queue list, show, peek, pause, resume, retry, discard and dlq.
//
// What commands share, which is flags, output and the way to the server, is given to it as a [Shell]. It asks the server, and prints
// what comes: it holds no rule about jobs. Values are the server's without secrets; what is printed cannot move a terminal.
package queue
