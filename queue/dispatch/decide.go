package dispatch

import (
	"fmt"
	"net/http"
	"strconv"
	"time"

	"semper/queue"
)

// edgeError is in answers that an edge gives in an instance's stead.
const edgeError = "X-Semper-Error"

// edgeCut is what an edge says of a request that it broke off at a drain deadline: nobody's fault.
const edgeCut = "cut"

// An outcome is what an attempt has come to: a result, or else a failure, or that it does not count.
type outcome struct {
	result  *queue.Result
	failure queue.Failure
	back    bool   // the instance's time to drain was over
	free    func() // to be called when it is in memory no more; nil: nothing
}

// decide is what the answer of an attempt means under s. Of a body that is larger than s has room for nothing is kept.
func decide(s queue.Settings, status int, h http.Header, body []byte, now time.Time) outcome {
	if word := h.Get(edgeError); word != "" {
		if word == edgeCut {
			return outcome{back: true}
		}
		return outcome{failure: queue.Failure{Status: status, Reason: "the edge: " + word, RetryAfter: retryAfter(h, now)}}
	}
	r := &queue.Result{Status: status, Header: kept(h), Body: body}
	if len(body) > s.MaxAnswer {
		r.Body = nil
		r.Header.Set("Semper-Body-Dropped", strconv.Itoa(s.MaxAnswer))
	}
	if s.Retries(status) {
		return outcome{failure: queue.Failure{Status: status, Reason: fmt.Sprintf("answered %d", status), RetryAfter: retryAfter(h, now), Result: r}}
	}
	return outcome{result: r}
}

// kept are the fields of a response that its client gets later.
func kept(h http.Header) http.Header {
	h = h.Clone()
	for _, name := range []string{"Connection", "Keep-Alive", "Transfer-Encoding", "Trailer", "Upgrade", "Date", "X-Request-Id"} {
		h.Del(name)
	}
	return h
}

// retryAfter is Retry-After, RFC 9110 section 10.2.3; 0 without one.
func retryAfter(h http.Header, now time.Time) time.Duration {
	value := h.Get("Retry-After")
	if n, err := strconv.Atoi(value); err == nil {
		return time.Duration(min(max(n, 0), 86400)) * time.Second
	}
	if t, err := http.ParseTime(value); err == nil {
		return max(t.Sub(now), 0)
	}
	return 0
}

// within is how long an attempt may take whose lease holds for d: long enough before its end to say so.
func within(d time.Duration) time.Duration { return d - min(d/5, 2*time.Second) }
