package main

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"path"
	"time"
)

// order answers as a shop does: with a time, an identifier by chance, a set in any order and a secret. Where ORDERS is "next", it is the
// release after: one price is another, the items stand in another order, and a field is new. Copies are told from requests by their mark, so
// that a test sees that no client's answer was a copy's.
func order(w http.ResponseWriter, r *http.Request) {
	type item struct {
		Name  string `json:"name"`
		Price int    `json:"price"`
	}
	items := []item{{"apple", 120}, {"bread", 349}, {"cheese", 899}}
	tags := []string{"gift", "new", "sale", "web"}
	rand.Shuffle(len(tags), func(i, k int) { tags[i], tags[k] = tags[k], tags[i] })
	body := map[string]any{
		"number": path.Base(r.URL.Path), "shipping": 490, "items": items, "tags": tags,
		"at": time.Now().UTC().Format(time.RFC3339Nano), "trace": fmt.Sprintf("%016x", rand.Uint64()),
		"access_token": fmt.Sprintf("s3cret-%x", rand.Uint64()), "contact": fmt.Sprintf("jane.%x@example.com", rand.Uint32()),
	}
	if os.Getenv("ORDERS") == "next" {
		items[0], items[2] = items[2], items[0]
		body["shipping"], body["vat"] = 590, 93
	}
	b, err := json.Marshal(body)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("X-Copy", r.Header.Get("Semper-Shadow"))
	_, _ = w.Write(b)
}
