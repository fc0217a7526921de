package contender

import (
	"strconv"
	"strings"
)

func haproxy() Contender {
	return Contender{
		Name: HAProxy, find: look("haproxy", "haproxy"), version: []string{"-v"},
		files: func(s Setup) map[string]string { return map[string]string{"haproxy.cfg": haproxyText(s)} },
		args:  func(s Setup) []string { return []string{"-db", "-f", s.file("haproxy.cfg")} },
	}
}

func haproxyText(s Setup) string {
	upstream, log := s.Upstream.Address, ""
	if s.Upstream.Network == "unix" {
		upstream = "unix@" + upstream
	}
	if s.AccessLog {
		// Standard output is a file here: the log of a container.
		log = "  log stdout format raw daemon\n  option httplog\n"
	}
	return replace(`global
  nbthread 1
  maxconn MAXIMUM
defaults
  mode http
LOG  http-reuse always
  timeout connect 5s
  timeout client 1h
  timeout server 1h
  timeout tunnel 1h
  timeout http-keep-alive 1h
frontend in
  bind HTTP_ADDRESS backlog 4096
  bind TLS_ADDRESS ssl crt CERT alpn h2,http/1.1 backlog 4096
  http-request set-header X-Forwarded-For %[src]
  http-request set-header X-Forwarded-Proto http if !{ ssl_fc }
  http-request set-header X-Forwarded-Proto https if { ssl_fc }
  http-request set-header X-Forwarded-Host %[req.hdr(Host)]
  default_backend app
backend app
  server s1 UPSTREAM
`, "MAXIMUM", strconv.Itoa(s.Room.Clients), "LOG", log, "HTTP_ADDRESS", s.HTTP, "TLS_ADDRESS", s.HTTPS, "CERT", s.Cert, "UPSTREAM", upstream)
}

// split returns host and port of an address that has both.
func split(address string) (host, port string) {
	i := strings.LastIndexByte(address, ':')
	return address[:i], address[i+1:]
}
