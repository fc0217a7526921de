// Command resize gets its jobs as HTTP requests. When it is done with one, it gives the service mail another.
package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
)

// queue is a client of the socket on which any instance may give jobs to services of its app.
var queue = http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
	var d net.Dialer
	return d.DialContext(ctx, "unix", os.Getenv("SEMPER_QUEUE"))
}}}

func main() {
	http.HandleFunc("POST /worker/resize", resize)
	log.Fatal(http.ListenAndServe("127.0.0.1:"+os.Getenv("PORT"), nil))
}

func resize(w http.ResponseWriter, r *http.Request) {
	picture, err := io.ReadAll(r.Body)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	half := picture[:len(picture)/2] // a small one
	id := r.Header.Get("Semper-Job-Id")
	if err := tell(r.Context(), id, fmt.Sprintf("picture %s has %d bytes now", id, len(half))); err != nil {
		http.Error(w, err.Error(), http.StatusServiceUnavailable) // the job is tried again
		return
	}
	fmt.Fprintf(w, "%s resized attempt %s of %s\n", os.Getenv("SEMPER_RELEASE"), r.Header.Get("Semper-Attempt"), id)
}

// tell gives mail a job. Under its key it is one job, however often this one is tried.
func tell(ctx context.Context, key, text string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://semper/v1/jobs?to=mail", bytes.NewReader([]byte(text)))
	if err != nil {
		return err
	}
	req.Header.Set("Idempotency-Key", "mail for "+key)
	resp, err := queue.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusAccepted {
		return fmt.Errorf("mail: %s", resp.Status)
	}
	return nil
}
