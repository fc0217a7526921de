package alone

import (
	"context"
	"encoding/json"
	"log/slog"
	"net"
	"net/http"
	"os"
	"time"

	"semper/edge/accesslog"
	"semper/edge/routefile"
)

// accessLog is where lines go, and in which form.
func accessLog(l routefile.Log) accesslog.Options {
	var o accesslog.Options
	if l.Format == "combined" {
		o.Format = accesslog.Combined
	}
	switch l.Access {
	case "stdout":
		o.Writer = os.Stdout
	case "stderr":
		o.Writer = os.Stderr
	default:
		o.Path = l.Access
	}
	return o
}

// scrapes answers on l until ctx ends.
func (s *server) scrapes(ctx context.Context, l net.Listener) error {
	m := http.NewServeMux()
	m.Handle("GET /metrics", s.edge.Witness().Handler())
	m.HandleFunc("GET /shadows", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		json.NewEncoder(w).Encode(s.edge.Shadows()) //nolint:errcheck,errchkjson // who asked is gone
	})
	srv := &http.Server{
		Handler: m, ReadHeaderTimeout: 5 * time.Second, WriteTimeout: 30 * time.Second, IdleTimeout: time.Minute,
		ErrorLog: slog.NewLogLogger(s.log.Handler(), slog.LevelDebug),
	}
	defer context.AfterFunc(ctx, func() { srv.Close() })() //nolint:errcheck // a scrape comes again
	err := srv.Serve(l)
	if ctx.Err() != nil {
		return nil
	}
	return err
}
