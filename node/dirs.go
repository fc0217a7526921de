package node

import (
	"path/filepath"

	"semper"
	"semper/store/blob"
)

// dirs are the places below a data directory.
type dirs string

func (d dirs) run(name string) string { return filepath.Join(string(d), "run", name) }
func (d dirs) keeper() string         { return d.run("keeper.sock") }
func (d dirs) storeSocket() string    { return d.run("store.sock") }
func (d dirs) store() string          { return filepath.Join(string(d), "store") }
func (d dirs) blobs() string          { return filepath.Join(string(d), "blobs") }

// tree is where an artifact is unpacked.
func (d dirs) tree(a semper.Digest) string { return blob.TreeIn(d.blobs(), a) }

// bodies is where large bodies of jobs are.
func (d dirs) bodies() string { return filepath.Join(string(d), "queue") }

func (d dirs) edge() string     { return filepath.Join(string(d), "edge") }
func (d dirs) logs() string     { return filepath.Join(string(d), "logs") }
func (d dirs) secrets() string  { return filepath.Join(string(d), "secrets") }
func (d dirs) tls() string      { return filepath.Join(string(d), "tls") }
func (d dirs) tlsCopy() string  { return filepath.Join(string(d), "edge", "tls") }
func (d dirs) root() string     { return filepath.Join(string(d), "ca.crt") }
func (d dirs) identity() string { return filepath.Join(string(d), "identity") }
func (d dirs) token() string    { return filepath.Join(string(d), "token") }
