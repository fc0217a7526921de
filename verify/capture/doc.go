// Package capture reads recorded traffic, one exchange of a request and its response after the other, whatever wrote it down.
//
// # Formats
//
//   - HAR 1.2, as browsers and proxies save it. Contents are as their readers saw them: bodies in Base64 are decoded, and those that
//     a tool kept compressed are unpacked.
//   - .gor files of GoReplay. Requests and responses stand in them by themselves and are brought together by their identifiers.
//   - Lines of JSON as [semper/verify/offline.Recorded] has them, with the request.
//
// Each of them may be compressed with gzip. The format is known by the first bytes.
//
// # Invariants
//
// A file is read once, from its beginning to its end, and of one exchange no more than 16 MiB are kept: files of any size need the
// same memory. What is larger is told as left out, and so is what was not recorded whole: nothing is made up. What is no such file is
// an error with file, line and entry.
//
// # What it does not do
//
// It sends nothing, compares nothing, and hides nothing: what it returns holds whatever was recorded, passwords too.
package capture
