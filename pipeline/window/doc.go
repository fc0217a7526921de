// Package window says at which times changes are allowed: the freeze windows of a pipeline, in the zone of the people who
// have to get up when a change goes wrong.
//
// # Problem
//
// "Not from Friday afternoon to Monday morning" is said in the time of a wall clock somewhere. Counted in UTC it is an
// hour off for half of the year; counted in hours from some instant it is wrong in the two nights in which clocks change.
//
// # How it works
//
// A [Window] is a set of ranges of wall-clock time. An instant is looked at as what the clock on the wall showed: the hour that comes
// twice in autumn is treated alike both times, and the one left out in spring is never asked for. [Window.Next] finds the next
// change by trying the instants at which one can be.
//
// Ranges are written "Fri 16:00-Mon 08:00" (from a time of the week to another, over the end of the week where that is later),
// "Mon-Thu 09:00-16:00" (on each of these days; "Mon" alone and "daily" are days too) or
// "2026-12-20-2027-01-06" (dates, both whole). Several are separated by commas.
//
// # Invariants
//
//   - The answer depends on the arguments alone: no clock and no zone of the machine. Zones are in the binary.
//   - What denies wins over what allows.
//
// # What it will not do
//
// No holidays, no cron expressions.
package window
