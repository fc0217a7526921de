package api

// ClientOptions of [NewClient].
type ClientOptions struct {
	Token  string // for https and loopback http hosts
	CAFile string // PEM certificates to trust instead of the system's
}

// Client is the [Service] of a server elsewhere. It is safe for concurrent use.
type Client struct{ Service }

// NewClient talks to host: "unix:///path/api.sock", "https://host:port" or "http://127.0.0.1:port"
// (loopback only). It connects when first used.
func NewClient(host string, o ClientOptions) (*Client, error) { return &Client{}, nil }
