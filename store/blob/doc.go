// Package blob keeps artifacts: immutable bundles of files, named by the digest of their canonical form.
//
// # The canonical form
//
// An artifact is an uncompressed tar of regular files, directories and symbolic links in ascending byte order
// of their paths. Of each file it keeps the path, the bytes and whether its owner may execute it, of
// each link its target, and nothing else: no owner, no times, no other mode bits, no hard links, no
// extended attributes. So the same files have the same digest on every machine. Devices, sockets and
// pipes are refused, and so are links that are absolute or lead out of the artifact.
//
// # On disk
//
//	sha256/ab/<hex>   the canonical tar, written whole, synced, and renamed into place
//	trees/<hex>/      its files, read-only: 0444, or 0555 where executable; directories 0555
//	records/<hex>     how the tree looked to stat(2) when its bytes were last checked
//	tmp/              what is being written; GC removes what a crash left
//
// Nothing under sha256 or trees is ever changed in place. Every step leaves either the old state or
// the new one, whenever the process or the machine dies.
//
// # Verification
//
// [Store.Unpack] writes out exactly the tar it was asked for or nothing. [Store.Verify] tells whether the tree
// is still that. It is meant for every start of a process, so it is fast when nothing was touched: any
// change of a file's bytes, name or mode changes its or its directory's inode, size, mtime, ctime or
// mode, and those are compared with the record; only when they differ is the tree read and hashed.
// A time too close to the moment of the record proves nothing, because a later change could carry the
// same one, so a record younger than its tree by less than the clock's grain is not trusted.
//
// It does not defend against who can set the system's clock and write to the disk below the file
// system: such a one can replace semper as well.
//
// Several processes may use one directory at the same time.
package blob
