// Package route says which rule a request falls under, and what is to be done with it.
//
// # Problem
//
// An edge looks at every request and finds one of many rules by host, path, method, fields, cookies and query. It
// must find the same one whatever the order in which somebody wrote them down, must not be talked out of a rule by
// another spelling of the same path, and has a few hundred nanoseconds for all of it.
//
// # Which rule wins
//
// Rules are in a total order, and the first that a request meets is its rule:
//
//  1. an exact host, before a wildcard (the longest first), before any host;
//  2. an exact path, before a prefix (the longest first);
//  3. more conditions before fewer. A set of methods is one, a scheme is one, each field, cookie and parameter is one;
//  4. the order in which they are given.
//
// So a request for a host that has rules of its own, none of which it meets, falls through to the rules of a wildcard, and
// then to those for any host. Two rules of which the second could never win are an error of [Compile].
//
// # One form of a path
//
// [Query].Path is the path that is forwarded: canonical, still percent-encoded. Paths are compared decoded, segment by
// segment: /%61dmin falls under a rule for /admin. An encoded slash (%2F) is a character of its segment and never the
// boundary between two. That is how the application behind splits a path too, unless it decodes before it splits, which
// RFC 3986, 2.2, forbids. Prefixes end at segments: /api is for /api and /api/x, not for /apix. Case matters.
//
// # Cost
//
// A [Matcher] is immutable. [Matcher.Match] takes no lock and allocates nothing: a lookup in a map for the host, one for
// each segment of the path that leads to a rule, then the conditions of the rules found there. Time is linear in the
// length of the request, whoever made it: patterns are Go's regular expressions, which do not backtrack.
//
// # What it does not do
//
// It makes no connection, reads no file and keeps no time. Whether a pool has anybody left to serve is for the balancer,
// and each bound of a [Policy] is kept by whoever serves: here it is a number. Nothing of a [Policy] makes an edge buffer a
// response: bytes go on as they come.
package route
