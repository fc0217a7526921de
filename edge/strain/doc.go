// Package strain knows what the machine cannot give an edge any more, descriptors or memory, and has it take less before
// something breaks.
//
// # Descriptors
//
// A process has a bound of open descriptors (RLIMIT_NOFILE). If clients may take all of them, none is left to reach an
// instance by, and an edge that is full answers nobody. So clients have three quarters of it, in one Room for all listeners: who
// comes beyond waits in the kernel's queue. The rest is for instances, files, and whoever asks the edge how it is.
//
// # Memory
//
// The collector keeps the process below a limit (GOMEMLIMIT; without it, nine tenths of what the cgroup may have) as long as what is in
// use fits. When it does not, the collector takes ever more of the processor, and then the kernel ends the process with all
// that is under way. Before that, from [shedAt] of the limit on, new requests are refused with 503, until enough of what is under
// way has ended. Connections are kept: an idle one costs little, and its client will ask again.
package strain
