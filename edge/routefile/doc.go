// Package routefile reads the file of semper edge run --routes: where an edge listens, to whom it passes what on, and by which
// rules. It is YAML, strict: all that is wrong with a file is told at once, each with its line and what would have
// been right (see package strict, which docs of keys and notations point to).
//
// What the file names is looked at when it is read: certificates, keys, error pages and directories have to be there. What
// must be as it was when a request comes, error pages and keys, is read into memory. So a [File] either can be
// served as it is, or there is none: whoever reloads keeps the one before.
//
// The file is trusted as configuration is. Addresses of upstreams come from it alone: nothing of a request is ever dialled.
//
// Short forms, all of which the tags of the types say: text for a pool is its one upstream, a list its upstreams; text for a
// listener is its address over plain HTTP; text for health is the path asked for; one value for a list is a list of one.
package routefile
