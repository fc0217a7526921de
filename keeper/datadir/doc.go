// Package datadir knows the data directory of one semper: where everything stands in it, which
// format it has, and who holds it.
//
// One keeper at a time holds a directory, by a lock the kernel frees when the keeper dies and keeps
// when the keeper replaces itself by exec. A directory that is somebody else's, or a newer semper's,
// is refused before anything in it is touched.
package datadir
