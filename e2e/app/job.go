package main

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
)

// job does what a queue asks for: it leaves a line with the job's id in the file EFFECTS, and answers with what it was asked. What is
// below /jobs/flaky is refused at its first attempt, what is below /jobs/bad at each; what is below /jobs/poison ends the process, and
// /jobs/large is answered with three million bytes.
func job(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	attempt := r.Header.Get("Semper-Attempt")
	if strings.HasPrefix(r.URL.Path, "/jobs/flaky") && attempt == "1" {
		http.Error(w, "not yet", http.StatusServiceUnavailable)
		return
	}
	if strings.HasPrefix(r.URL.Path, "/jobs/bad") {
		http.Error(w, "never", http.StatusInternalServerError)
		return
	}
	if strings.HasPrefix(r.URL.Path, "/jobs/poison") {
		os.Exit(3)
	}
	if err := effect(r.Header.Get("Semper-Job-Id")); err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("X-Done-By", os.Getenv("SEMPER_RELEASE"))
	w.Header().Set("X-Done-For", r.Header.Get("X-Forwarded-For"))
	if strings.HasPrefix(r.URL.Path, "/jobs/large") {
		_, _ = io.WriteString(w, strings.Repeat("x", 3_000_000)) // who is gone asks again
		return
	}
	w.WriteHeader(http.StatusCreated)
	fmt.Fprintf(w, "%s %s %s attempt %s host %s queue %q: %s", r.Method, r.URL.RequestURI(), r.Header.Get("X-Client"), attempt, r.Host, r.Header.Get("Semper-Queue"), body)
}

// effect is one write, which instances may do at the same time.
func effect(id string) error {
	path := os.Getenv("EFFECTS")
	if path == "" {
		return nil
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(f, id)
	if e := f.Close(); err == nil {
		err = e
	}
	return err
}
