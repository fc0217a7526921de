// Package files answers requests with the files of a directory.
//
// # What is served
//
// Regular files below one directory, by the path of the request. An [os.Root] opens them, so that neither the path nor a
// link leads outside. Nothing that begins with a dot is served, at any depth, but for what is below /.well-known/ (RFC 8615).
// A directory is answered by its index; there is no listing. Methods other than GET and HEAD are refused.
//
// # Caching
//
// Each file has a strong entity tag. Up to 4 MiB it is a digest of the content, kept while the file's identity, size and
// times stay: the same bytes have the same tag on every edge and in every release, and files whose times were lost in
// packing are told apart. Of larger files it is made of identity, size and times. Conditional requests and ranges are
// as net/http has them.
//
// How long a client may keep a file without asking:
//
//   - a year, if its content can never change under its name: Immutable says which, by default names with a fingerprint;
//   - not at all, if it is HTML: that is what names the others, so it decides which release a browser sees;
//   - MaxAge, else.
//
// # Compression
//
// A file that has a sibling with .br, .zst or .gz behind its name is answered with that where the client accepts it:
// compressed once, as hard as it goes, at build time. Each has a tag of its own; Vary says that there are several.
//
// # What it does not do
//
// It compresses nothing itself, writes nothing, and guesses no type by content: a type comes from the suffix, and browsers
// are told to believe it. Files replaced in place while they are being sent are sent as they are then: put a new
// file there by renaming it.
package files
