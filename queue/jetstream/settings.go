package jetstream

import (
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"semper"
)

// Settings say which JetStream, and what is asked of it.
type Settings struct {
	Servers     []string `yaml:"servers" jsonschema:"example=[nats://10.0.0.1:4222]" doc:"URLs of nats-servers, nats:// or tls://; one that answers is enough, it names the others."`
	Monitor     []string `yaml:"monitor" jsonschema:"example=[http://10.0.0.1:8222]" doc:"URLs of the monitoring of every server that holds the stream: there its settings are read."`
	Credentials string   `yaml:"credentials" jsonschema:"example=/etc/semper/queue.creds" doc:"File with the user's JWT and seed, as nsc writes it."`
	CA          string   `yaml:"ca" jsonschema:"example=/etc/semper/nats-ca.pem" doc:"PEM file of whom to trust as the servers. The system's when left out."`
	Stream      string   `yaml:"stream" jsonschema:"default=semper-queue" doc:"Name of the stream. It is made where there is none."`
	Replicas    int      `yaml:"replicas" jsonschema:"minimum=1,maximum=5,default=1" doc:"How many servers hold the stream, at least: 1, 3 or 5."`
	MaxBytes    Size     `yaml:"max_bytes" jsonschema:"default=8GiB,example=8GiB" doc:"How large the stream may become."`
}

// Defaults of [Settings].
const (
	DefaultStream = "semper-queue"
	DefaultBytes  = 8 << 30
	leastBytes    = 256 << 20
)

// Filled is s with its defaults.
func (s Settings) Filled() Settings {
	if s.Stream == "" {
		s.Stream = DefaultStream
	}
	if s.Replicas == 0 {
		s.Replicas = 1
	}
	if s.MaxBytes == 0 {
		s.MaxBytes = DefaultBytes
	}
	return s
}

// Check is nil when an engine can go by s, else it names the first key that is wrong.
func (s Settings) Check() error {
	for _, list := range []struct {
		key     string
		urls    []string
		schemes []string
	}{{"servers", s.Servers, []string{"nats", "tls"}}, {"monitor", s.Monitor, []string{"http", "https"}}} {
		if len(list.urls) == 0 {
			return wrong(list.key+" is missing", "name at least one URL, as "+list.schemes[0]+"://10.0.0.1:"+map[string]string{"servers": "4222", "monitor": "8222"}[list.key])
		}
		for _, text := range list.urls {
			u, err := url.Parse(text)
			if err != nil || u.Host == "" || !slices.Contains(list.schemes, u.Scheme) {
				return wrong(fmt.Sprintf("%s: %q is not a URL of %s://", list.key, text, strings.Join(list.schemes, ":// or ")), "write it as "+list.schemes[0]+"://HOST:PORT")
			}
			if u.User != nil { // errors and logs show URLs
				return wrong(list.key+": a URL holds a user or a password", "put them into a file, and name it in credentials")
			}
		}
	}
	switch s = s.Filled(); {
	case strings.Trim(s.Stream, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_") != "" || len(s.Stream) > 64:
		return wrong(fmt.Sprintf("stream: %q is not a name", s.Stream), "1 to 64 letters, digits, '-' or '_'")
	case s.Replicas != 1 && s.Replicas != 3 && s.Replicas != 5:
		return wrong(fmt.Sprintf("replicas: %d", s.Replicas), "1, 3 or 5: an even number survives no more failures than one less")
	case s.MaxBytes < leastBytes:
		return wrong(fmt.Sprintf("max_bytes: %s is too little", s.MaxBytes), "at least 256MiB: the stream holds what is dead as well, until it is worth purging")
	}
	return nil
}

func wrong(message, hint string) error {
	return &semper.Error{Code: semper.Invalid, Op: "queue", Message: message, Hint: hint}
}

// Size is bytes, written as 512MiB or 8GiB.
type Size int64

var units = []struct {
	name  string
	bytes Size
}{{"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10}}

// String is the size in its largest whole unit.
func (s Size) String() string {
	for _, u := range units {
		if s != 0 && s%u.bytes == 0 {
			return strconv.FormatInt(int64(s/u.bytes), 10) + u.name
		}
	}
	return strconv.FormatInt(int64(s), 10)
}

// UnmarshalText reads what String writes.
func (s *Size) UnmarshalText(text []byte) error {
	number, unit := string(text), Size(1)
	for _, u := range units {
		if n, ok := strings.CutSuffix(number, u.name); ok {
			number, unit = n, u.bytes
			break
		}
	}
	n, err := strconv.ParseInt(strings.TrimSpace(number), 10, 64)
	if err != nil || n <= 0 || Size(n) > (1<<62)/unit {
		return fmt.Errorf("%q is not a size: write bytes, or a number and KiB, MiB or GiB", text)
	}
	*s = Size(n) * unit
	return nil
}
