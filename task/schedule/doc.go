// Package schedule says when a cron is due: a pure function of what was written, the zone and an instant.
//
// # Problem
//
// "At 02:30 every day" is said in the time of a wall clock. In the night in which clocks go forward there is no 02:30, and in the one
// in which they go back there are two. A job that is left out once a year, or done twice, is found out about a year later.
//
// # How it works
//
// The five fields are read by robfig/cron, whose parser and whose search for the next match are those of most of Go. What a match
// means on the days on which clocks change is decided here, as Vixie's cron decides it:
//
//   - A schedule that names hours ("30 2 * * *", "0 */6 * * *") goes by the wall clock. What falls into the hour that is left out is due
//     when clocks have gone forward, once; what falls into the hour that comes twice is due the first time only.
//   - A schedule of every hour ("*/5 * * * *", "@hourly") goes by elapsed time: it is due all along, also in the hour that comes twice.
//   - "@every 90s" counts from the due time before, and knows no wall clock.
//
// # Invariants
//
//   - The answer depends on the arguments alone: no clock and no zone of the machine. Zones are in the binary.
//   - Due times grow strictly: [Schedule.Next] of an instant is after it.
//
// # What it will not do
//
// No seconds field, no zone within the text, no "L", "W" or "#".
package schedule
