package config

import "semper"

// A File is one configuration file, read whole and found right.
type File struct {
	Path     string // of the file read, as a path the caller can open
	Spec     semper.Spec
	Artifact Artifact
	Origins  map[string]Origin // by key path ("services.web.instances"): where each setting came from
}

// An Artifact says which files make the release.
type Artifact struct {
	Dir   string   // absolute; the directory to pack (and the one Build runs in is the file's). Empty when Tar is set
	Tar   string   // absolute; a .tar or .tar.gz packed already. Empty when Dir is set
	Build []string // argv run in the file's directory before packing; nil for none
}

// An Origin is where one setting came from.
type Origin struct {
	Kind OriginKind
	File string   // for OriginFile and OriginEnv
	Line int      // 1-based; 0 for a default
	Vars []string // names of the environment variables in it, for OriginEnv
}

// OriginKind is a kind of origin.
type OriginKind string

// The kinds of origin.
const (
	OriginFile    OriginKind = "file"    // written in the file
	OriginEnv     OriginKind = "env"     // written in the file, with environment variables in it
	OriginDefault OriginKind = "default" // not written; the documented default
)

// Errors are all problems of one file, in file order. Load returns it as *Errors.
type Errors []Problem

// A Problem is one thing wrong in a file.
type Problem struct {
	File         string
	Line, Column int // 1-based; 0 when the problem has no place (a missing file)
	Key          string
	Message      string
	Hint         string
	Source       string
}

func (e *Errors) Error() string { return "" }

// Load reads the file at path.
func Load(path string, lookup func(string) (string, bool)) (*File, error) { return nil, &Errors{} }

// LoadProcfile reads a Procfile.
func LoadProcfile(path string, lookup func(string) (string, bool)) (*File, error) {
	return nil, &Errors{}
}

// Schema is the JSON Schema of semper.yaml.
func Schema() []byte { return nil }

// Explain is the documentation of a key.
func Explain(key string) (string, bool) { return "", false }

// Detect proposes a semper.yaml.
func Detect(dir string) (yaml string, notes []string, err error) { return "", nil, nil }
