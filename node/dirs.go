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

func (d dirs) queue() string       { return filepath.Join(string(d), "queue") }
func (d dirs) queueFile() string   { return filepath.Join(string(d), "queue.yaml") }
func (d dirs) queueSocket() string { return d.run("queue.sock") }

// jobsSocket is where an edge takes the requests that queues send.
func (d dirs) jobsSocket(edge string) string { return d.run(edge + ".jobs.sock") }

func (d dirs) edge() string     { return filepath.Join(string(d), "edge") }
func (d dirs) logs() string     { return filepath.Join(string(d), "logs") }
func (d dirs) secrets() string  { return filepath.Join(string(d), "secrets") }
func (d dirs) tls() string      { return filepath.Join(string(d), "tls") }
func (d dirs) tlsCopy() string  { return filepath.Join(string(d), "edge", "tls") }
func (d dirs) root() string     { return filepath.Join(string(d), "ca.crt") }
func (d dirs) identity() string { return filepath.Join(string(d), "identity") }
func (d dirs) token() string    { return filepath.Join(string(d), "token") }
