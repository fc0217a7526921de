// Package webhook tells others of events by HTTP, as Standard Webhooks say: https://github.com/standard-webhooks/standard-webhooks.
//
// # Problem
//
// Who is told is out of our hands: he may be slow, gone, or a metadata service that somebody wants to have asked from inside. A
// receiver has to know that a message is ours, that it is not an old one sent again, and when he gets the same one twice.
//
// # How it works
//
// A message has an id, a time and a body; [Sign] puts HMAC-SHA256 over the three. The id stays the same however often it is sent. [Next] says
// when to send again: back-off that doubles, with jitter, until the message is old. [Client] refuses to connect to
// addresses that no receiver has, looking at the address that is connected to, so that no name and no redirect leads there.
//
// # Invariants
//
//   - The secret is in no error and no message; signatures are compared in constant time.
//   - Each send ends by a deadline. A redirect is an answer like another, and not followed.
//
// # What it will not do
//
// It keeps no queue: the event log is one, and a cursor into it is all there is to remember. It does no asymmetric signatures.
package webhook
