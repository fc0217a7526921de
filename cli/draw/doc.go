// Package draw turns what the API tells into lines for a terminal: trees, tables, plans and crash
// reports, in colour where wanted, cut to a width, and with nothing in them that a terminal would
// act on. Everything but [Screen] is a function of its arguments; the time is one of them.
package draw
