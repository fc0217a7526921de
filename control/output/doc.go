// Package output gives readers what units print: lines of instances, and bytes of tasks.
//
// Units print to files of their own, so that no reader and no process of semper's is in their way. Here those files are found and followed, for as
// long as the reader reads: the instances that a query is about come and go, and a task may not have begun.
//
// # What it will not do
//
// It keeps nothing and decides nothing. Where the files are, and whether more will come, is told by views that it is given.
package output
