// Package later is the part of semper.yaml that says how requests are done later: jobs of a service, and what routes make of it.
//
// Its types are the format, as those of package config are, which reads them by the same tags; it finds what is wrong beyond that, and makes
// of it what package queue goes by. It reads no file, and knows nothing of places in one: a [Problem] names a key.
package later
