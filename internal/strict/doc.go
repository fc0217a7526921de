// Package strict reads a YAML document into Go values, and is strict about it.
//
// An unknown key, a number without a unit, a second value for a key: each is a problem, told with its line and what would
// have been right, and all of them at once. What was read keeps its place, so that checks that come later point into
// the file as well.
//
// # Tags
//
// The types that are read into say what the format is; the reader and [Schema] have no other source.
//
//	yaml        the key; "-" is no key. Structs that are embedded have their keys in the outer mapping
//	doc         what it means, for the schema
//	jsonschema  required, minimum, maximum, enum, pattern, default, example
//	short       the key that a value stands for where keys are expected, in a struct or in each struct of a list or table
//	off         a setting that can be "off", which makes it zero
//	on          what "on" stands for: words of a list
//
// # Notations
//
// Durations are written "30s"; integers with a method Bytes "64MiB"; types with UnmarshalText as they like. A type with
// Put(name, value string) error is a table of texts in the order of the file; a value may be a list, of which each is put. One
// value in place of a list is a list of one. Keys that begin with x- are the user's.
package strict
