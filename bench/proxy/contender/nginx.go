package contender

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// replace puts values for the upper-case words of a configuration text.
func replace(text string, pairs ...string) string { return strings.NewReplacer(pairs...).Replace(text) }

func nginx() Contender {
	return Contender{
		Name: Nginx, find: look("nginx", "nginx"), version: []string{"-v"},
		files: func(s Setup) map[string]string { return map[string]string{"nginx.conf": nginxText(s)} },
		args:  func(s Setup) []string { return []string{"-p", s.Dir, "-c", s.file("nginx.conf"), "-e", "stderr"} },
	}
}

// nginxCommon begins every nginx configuration here. Workers stay root where the master is, so that they reach sockets and files of the run.
func nginxCommon(r Room) string {
	user := ""
	if os.Geteuid() == 0 {
		user = "user root;\n"
	}
	return user + replace(`daemon off;
worker_processes 1;
worker_rlimit_nofile DESCRIPTORS;
pid nginx.pid;
error_log stderr warn;
events { worker_connections CONNECTIONS; }
`, "DESCRIPTORS", strconv.Itoa(r.descriptors()), "CONNECTIONS", strconv.Itoa(r.Clients+r.Instances+100))
}

func nginxText(s Setup) string {
	upstream, log := s.Upstream.Address, "off"
	if s.Upstream.Network == "unix" {
		upstream = "unix:" + upstream
	}
	if s.AccessLog {
		log = s.logFile() + " combined buffer=64k flush=1s"
	}
	return nginxCommon(s.Room) + replace(`http {
  access_log LOG;
  client_body_temp_path tmp; proxy_temp_path tmp; fastcgi_temp_path tmp; uwsgi_temp_path tmp; scgi_temp_path tmp;
  keepalive_requests 1000000000;
  keepalive_timeout 1h;
  client_max_body_size 0;
  upstream app {
    server UPSTREAM;
    keepalive 512;
    keepalive_requests 1000000000;
    keepalive_timeout 1h;
  }
  server {
    listen HTTP_ADDRESS backlog=4096;
    listen TLS_ADDRESS ssl http2 backlog=4096;
    ssl_certificate CERT;
    ssl_certificate_key CERT;
    ssl_protocols TLSv1.2 TLSv1.3;
    proxy_http_version 1.1;
    proxy_read_timeout 1h;
    proxy_send_timeout 1h;
    proxy_request_buffering off;
    proxy_max_temp_file_size 0;
    proxy_set_header Host $http_host;
    proxy_set_header X-Forwarded-For $remote_addr;
    proxy_set_header X-Forwarded-Proto $scheme;
    proxy_set_header X-Forwarded-Host $http_host;
    proxy_set_header Connection "";
    client_body_buffer_size 256k;
    location / { proxy_pass http://app; }
    # Fewer and larger reads for large answers.
    location /bytes/ { proxy_pass http://app; proxy_buffer_size 64k; proxy_buffers 8 64k; proxy_busy_buffers_size 128k; }
    # A map for Upgrade would cost on every request, so WebSockets have a location of their own. It inherits no proxy_set_header.
    location /ws { proxy_pass http://app; proxy_set_header Connection upgrade; proxy_set_header Upgrade $http_upgrade;
      proxy_set_header Host $http_host; proxy_set_header X-Forwarded-For $remote_addr;
      proxy_set_header X-Forwarded-Proto $scheme; proxy_set_header X-Forwarded-Host $http_host;
    }
  }
}
`, "UPSTREAM", upstream, "LOG", log, "HTTP_ADDRESS", s.HTTP, "TLS_ADDRESS", s.HTTPS, "CERT", s.Cert)
}

// Body is what the backend answers to GET /: 128 bytes.
var Body = strings.Repeat("semper. ", 15) + "128 byte"

// Echo is what the backend answers to /seen: what reached it, separated by blanks.
const Echo = "$request_method $request_uri $http_x_forwarded_for $http_x_forwarded_proto $http_x_forwarded_host $http_x_kept $connection_requests"

// BackendText is nginx as the instance behind all contenders: Body, Echo, and the files of dir/bytes, over TCP and over a unix socket.
func BackendText(dir, address, path string) string {
	return nginxCommon(Room{Clients: 4096}) + replace(`http {
  access_log off;
  client_body_temp_path tmp; proxy_temp_path tmp; fastcgi_temp_path tmp; uwsgi_temp_path tmp; scgi_temp_path tmp;
  keepalive_requests 1000000000;
  keepalive_timeout 1h;
  default_type text/plain;
  sendfile on;
  server {
    listen ADDRESS backlog=4096;
    listen unix:PATH backlog=4096;
    location = / { return 200 "BODY"; }
    location = /seen { return 200 "ECHO"; }
    location /bytes/ { root DIR; }
  }
}
`, "ADDRESS", address, "PATH", path, "BODY", Body, "ECHO", Echo, "DIR", filepath.Clean(dir))
}
