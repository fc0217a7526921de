package metrics

import (
	"strconv"
	"time"

	"semper/edge/trace"
)

// A Method is a request method as a label: one of a fixed set.
type Method uint8

// The methods that have a label of their own.
const (
	MethodOther Method = iota
	MethodConnect
	MethodDelete
	MethodGet
	MethodHead
	MethodOptions
	MethodPatch
	MethodPost
	MethodPut
	MethodTrace
	methods = int(iota)
)

var methodNames = [methods]string{"_OTHER", "CONNECT", "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "TRACE"}

// MethodOf is the method of a request line. Methods are case-sensitive (RFC 9110, 9.1).
func MethodOf(m []byte) Method {
	switch string(m) {
	case "GET":
		return MethodGet
	case "POST":
		return MethodPost
	case "HEAD":
		return MethodHead
	case "PUT":
		return MethodPut
	case "DELETE":
		return MethodDelete
	case "PATCH":
		return MethodPatch
	case "OPTIONS":
		return MethodOptions
	case "CONNECT":
		return MethodConnect
	case "TRACE":
		return MethodTrace
	}
	return MethodOther
}

func (m Method) String() string { return methodNames[min(int(m), methods-1)] }

// A Protocol is the version of HTTP that a client speaks.
type Protocol uint8

// The protocols.
const (
	HTTP11 Protocol = iota
	HTTP10
	HTTP2
	HTTP3
	protocols = int(iota)
)

var protocolVersions = [protocols]string{"1.1", "1.0", "2", "3"}

func (p Protocol) String() string { return protocolVersions[min(int(p), protocols-1)] }

// A Failure is why a try at an instance brought no whole answer.
type Failure uint8

// The failures.
const (
	FailNone     Failure = iota
	FailConnect          // nobody accepted
	FailReset            // the connection ended before the answer did
	FailTimeout          // a deadline of the edge passed
	FailProtocol         // what came is no HTTP that may be forwarded
	FailTLS              // no TLS session came about
	FailCanceled         // the client went, or another try was faster
	failures     = int(iota)
)

var failureNames = [failures]string{"", "connect", "reset", "timeout", "protocol", "tls", "canceled"}

func (f Failure) String() string { return failureNames[min(int(f), failures-1)] }

// An Outcome is how a request ended, as its client saw it.
type Outcome struct {
	Method   Method
	Protocol Protocol
	TLS      bool
	Status   int           // of the final answer; 0 when none was begun
	Took     time.Duration // from the first byte of the request to the last of the answer
	// Bytes of content, without framing.
	RequestBody, ResponseBody int64

	// Trace makes the request an example of its latency if Sampled is set. Ended is when, in nanoseconds since 1970; a
	// coarse clock does.
	Trace   trace.ID
	Span    trace.SpanID
	Sampled bool
	Ended   int64
}

// An Attempt is one try of a request at an instance.
type Attempt struct {
	Method  Method
	Status  int // of its final answer; of no meaning with a failure
	Failure Failure
	Took    time.Duration // from having the connection, or trying to make it, to the last byte of the answer
	Reused  bool          // the connection had carried a request before
}

// The registered status codes, but for 306 and those that are no final answers; the first of each class stands for all
// the others of it. https://www.iana.org/assignments/http-status-codes, 2026.
var registered = [...]int{
	101,
	200, 201, 202, 203, 204, 205, 206, 207, 208, 226,
	300, 301, 302, 303, 304, 305, 307, 308,
	400, 401, 402, 403, 404, 405, 406, 407, 408, 409, 410, 411, 412, 413, 414, 415, 416, 417, 421, 422, 423, 424, 425, 426, 428, 429, 431, 451,
	500, 501, 502, 503, 504, 505, 506, 507, 508, 510, 511,
}

// The columns of a grid: no status, the registered ones, the failures.
const (
	noStatus     = 0
	firstFailure = 1 + len(registered)
	columns      = firstFailure + failures - 1
)

// columnOf is the column of every status below 600.
var columnOf = func() (t [600]uint8) {
	for status := 100; status < 600; status++ {
		for i, r := range registered {
			if r == status || r/100 == status/100 && t[status] == 0 {
				t[status] = uint8(1 + i)
			}
		}
	}
	return t
}()

// column is where a status is counted. What is no status at all is counted as none.
func column(status int) int {
	if uint(status) >= uint(len(columnOf)) {
		return noStatus
	}
	return int(columnOf[status])
}

// class is the first digit of the statuses in a column, and 0 where there is none.
func class(column int) int {
	if column == noStatus || column >= firstFailure {
		return 0
	}
	return registered[column-1] / 100
}

// status and failure are the labels of a column; at most one of them is not empty.
func (c columnID) status() string {
	if class(int(c)) == 0 {
		return ""
	}
	return strconv.Itoa(registered[c-1])
}

func (c columnID) failure() string {
	if int(c) < firstFailure {
		return ""
	}
	return Failure(int(c) - firstFailure + 1).String()
}

type columnID int
