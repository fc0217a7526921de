// Package attest signs what a release has proven, and checks it: in-toto statements in DSSE envelopes, signed with Ed25519.
//
// # Problem
//
// "This digest passed the tests in beta" has to be something an environment can check before it lets the digest in, whoever
// asks and by whatever door. A flag in a table says only that somebody once wrote it. A signed statement names the bytes it is
// about by their digests, says what was done with them, and is worth exactly as much as the key it is signed with.
//
// # How it works
//
// A [Statement] is one of the in-toto attestation framework, version 1: subjects with digests, the type of a predicate, and
// the predicate. [Sign] serializes it, puts DSSE's pre-authentication encoding ([PAE]) around it and signs that with a [Key].
// A [Keyring] holds the public halves that are trusted, each with the time in which it may have signed, so that keys can be
// replaced: what a retired key signed in its time stays good, what a revoked one signed does not.
//
// # Invariants
//
//   - Nothing of a payload is looked at before a trusted key is known to have signed its bytes.
//   - The id of a key in an envelope is a hint: it chooses which key to try, and proves nothing.
//   - Reading is strict: sizes are bounded, and an unknown or repeated field, a wrong type, bytes after the end and names in another case are
//     errors of type [*Error], with their place. Nothing read panics.
//   - A private key is in no error and no text form.
//
// # What it will not do
//
// It does not keep keys or statements, knows no gate and no environment, and speaks to no transparency log. It asks for one
// good signature, not for a quorum of them.
//
// DSSE and in-toto have readers ignore fields they do not know. This reader refuses them: it reads what semper wrote, and a
// field that it does not understand may be the one that limits the rest.
package attest
