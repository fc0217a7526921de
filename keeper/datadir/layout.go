package datadir

import (
	"crypto/sha256"
	"encoding/base32"
	"path/filepath"
	"strings"

	"semper"
)

// A Dir is the absolute path of a data directory.
type Dir string

func (d Dir) join(elem ...string) string {
	return filepath.Join(append([]string{string(d)}, elem...)...)
}

// Marker is the file that makes the directory semper's.
func (d Dir) Marker() string { return d.join("semper.json") }

// LockFile is the file the keeper holds a lock on; it contains the holder's pid.
func (d Dir) LockFile() string { return d.join("lock") }

// API is the socket of the API.
func (d Dir) API() string { return d.join("api.sock") }

// QueueSocket is where edges hand over requests that are to be done later.
func (d Dir) QueueSocket() string { return d.join("run", "queue.sock") }

// JobsSocket is where instances ask for jobs, and give some to others of their app.
func (d Dir) JobsSocket() string { return d.join("run", "jobs.sock") }

// KeeperSocket is where the keeper answers.
func (d Dir) KeeperSocket() string { return d.join("run", "keeper.sock") }

// NotifySocket is where sd_notify messages go.
func (d Dir) NotifySocket() string { return d.join("run", "notify.sock") }

// TreeSocket is where programs show what runs in them.
func (d Dir) TreeSocket() string { return d.join("run", "tree.sock") }

// PartSocket is where the part answers.
func (d Dir) PartSocket(id string) string { return d.join("run", id+".sock") }

// PartSockets is where the part offers its listening sockets.
func (d Dir) PartSockets(id string) string { return d.join("run", id+".fd") }

// PartLog is the part's output.
func (d Dir) PartLog(id string) string { return d.join("keeper", "parts", id+".log") }

// Blobs is the directory of artifacts.
func (d Dir) Blobs() string { return d.join("blobs") }

// Secrets is the directory of secrets.
func (d Dir) Secrets() string { return d.join("secrets") }

// Bin is the directory of semper's own binaries, named by digest.
func (d Dir) Bin() string { return d.join("bin") }

// Journal is the directory of the keeper's records.
func (d Dir) Journal() string { return d.join("keeper", "journal") }

// Crashes is the directory of crash reports nobody has fetched yet.
func (d Dir) Crashes() string { return d.join("keeper", "crashes") }

// KeeperFile is a file of the keeper's own.
func (d Dir) KeeperFile(name string) string { return d.join("keeper", name) }

// Instance is an instance's directory.
func (d Dir) Instance(id semper.InstanceID) string { return d.join("instances", FileName(string(id))) }

// InstanceLog is an instance's output.
func (d Dir) InstanceLog(id semper.InstanceID) string {
	return filepath.Join(d.Instance(id), "output.log")
}

// InstanceErrors is its standard error, where that has a file of its own.
func (d Dir) InstanceErrors(id semper.InstanceID) string { return d.InstanceLog(id) + ".err" }

// Scratch is where an instance may write; it is gone when the instance is forgotten.
func (d Dir) Scratch(id semper.InstanceID) string { return filepath.Join(d.Instance(id), "scratch") }

// InstanceSocketDir is the directory an instance creates its socket in. Its name is short, because
// a socket's whole path has to fit 104 bytes.
func (d Dir) InstanceSocketDir(id semper.InstanceID) string {
	sum := sha256.Sum256([]byte(id))
	short := strings.ToLower(base32.HexEncoding.EncodeToString(sum[:5]))
	return d.join("run", "i", short)
}

// FileName is a file name for an id: "bar/web.r42.3" is "bar_web.r42.3". Different ids have
// different names: an underscore in an id becomes a plus, which no id contains.
func FileName(id string) string {
	return strings.NewReplacer("_", "+", "/", "_").Replace(id)
}
