// Package source makes what a deploy sends: it reads the configuration, runs the build command and
// packs the artifact into a temporary file. It talks to no server.
package source
