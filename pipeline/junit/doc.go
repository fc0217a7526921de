// Package junit reads what a test suite reports in the XML that began with JUnit's Ant task and that nearly every test runner writes since.
//
// # Problem
//
// An exit code says that something failed, not what, and a runner that finds no test at all exits with 0 as one whose tests have passed. A gate has to name the tests
// that failed to whoever asks why, and must not take silence for success.
//
// # How it works
//
// The format has no standard, only habits, so [Read] goes by what they have in common: cases within suites, suites within suites, and in a case what became of it. It counts cases itself: the
// numbers that suites claim in attributes differ from runner to runner.
//
// # Invariants
//
//   - Reading takes memory for the longest piece of text and the names that are kept; a report is bounded, and nothing of it is kept twice.
//   - What is not well-formed, is cut off, or is no report is an error of type *[Error] with its line, and never a passed suite. Nothing panics.
//   - No entity of a document's own, no file and no network is looked at.
//
// # What it will not do
//
// It does not say whether a gate is passed, opens no file, and keeps no output of tests.
package junit
