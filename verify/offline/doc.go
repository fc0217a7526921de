// Package offline judges what was written down: batches of two arms as CSV or as lines of JSON, and responses as lines of JSON. It is
// the same judge as in a rollout, for history, for other systems, and to check it.
//
// # Batches
//
// Each row is what one arm did in one interval: time (RFC 3339 or seconds since 1970), metric, kind, arm (candidate or baseline), and by kind
//
//	errors, users, differences   requests, bad
//	latency                      requests, bad, and threshold: the name of what they were slower than
//	gauge                        value
//	mean                         value, a row for each user; or n, sum and squares
//
// Rows are in the order of time. Those of one metric, one threshold and one time belong together: both arms of them.
//
// # What it does not do
//
// It does not guess: an unknown column, an arm that is missing, a time that goes back, each is an error with its line.
package offline
