package http1

import (
	"strconv"
	"time"
)

// A Refusal is an answer of the edge itself.
type Refusal struct {
	Status     int
	Word       string // X-Semper-Error; see Error
	Text       string // a sentence for whoever asked
	RequestID  []byte // X-Request-Id; empty for none
	Date       []byte // made by AppendDate; empty for none
	RetryAfter int    // seconds; 0 for none
	Close      bool   // the connection ends after it
	NoContent  bool   // the request was HEAD: the head alone is sent

	// Page takes the place of the text; Type is its Content-Type. nil for the text.
	Page []byte
	Type string
	Edit *Edit // the route's own; nil for none. What it removes is not in a refusal.
}

// Refusal is the answer to a request that is refused for e, or to one whose response is.
func (e *Error) Refusal() Refusal {
	return Refusal{Status: e.Status, Word: e.Word, Text: e.Reason, Close: true}
}

// allowed are the methods a refused CONNECT could have been instead (RFC 9110, 15.5.6).
const allowed = "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"

// AppendRefusal appends the whole answer. Nothing that the client sent is in it but the id.
func AppendRefusal(dst []byte, r *Refusal) []byte {
	dst = AppendStatus(dst, r.Status)
	dst = appendField(dst, "Date: ", r.Date)
	if r.Word != "" {
		dst = append(dst, "X-Semper-Error: "...)
		dst = append(dst, r.Word...)
		dst = append(dst, "\r\n"...)
	}
	dst = append(dst, "Cache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\nContent-Type: "...)
	if r.Page != nil {
		dst = append(dst, r.Type...)
	} else {
		dst = append(dst, "text/plain; charset=utf-8"...)
	}
	dst = append(dst, "\r\n"...)
	dst = appendField(dst, "X-Request-Id: ", r.RequestID)
	if r.RetryAfter > 0 {
		dst = append(dst, "Retry-After: "...)
		dst = strconv.AppendInt(dst, int64(r.RetryAfter), 10)
		dst = append(dst, "\r\n"...)
	}
	if r.Status == 405 {
		dst = append(dst, "Allow: "+allowed+"\r\n"...)
	}
	if r.Edit != nil {
		dst = append(dst, r.Edit.lines...)
	}
	if r.Page != nil {
		return r.appendPage(dst)
	}
	const request = "request "
	n := len("000 ") + len(StatusText(r.Status)) + 1 + len(r.Text) + 1
	if len(r.RequestID) > 0 {
		n += len(request) + len(r.RequestID) + 1
	}
	dst = appendLength(dst, int64(n))
	if r.Close {
		dst = append(dst, "Connection: close\r\n"...)
	}
	dst = append(dst, "\r\n"...)
	if r.NoContent {
		return dst
	}
	dst = strconv.AppendInt(dst, int64(r.Status), 10)
	dst = append(dst, ' ')
	dst = append(dst, StatusText(r.Status)...)
	dst = append(dst, '\n')
	dst = append(dst, r.Text...)
	dst = append(dst, '\n')
	if len(r.RequestID) > 0 {
		dst = append(dst, request...)
		dst = append(dst, r.RequestID...)
		dst = append(dst, '\n')
	}
	return dst
}

// appendPage ends the head, and appends the page.
func (r *Refusal) appendPage(dst []byte) []byte {
	dst = appendLength(dst, int64(len(r.Page)))
	if r.Close {
		dst = append(dst, "Connection: close\r\n"...)
	}
	dst = append(dst, "\r\n"...)
	if r.NoContent {
		return dst
	}
	return append(dst, r.Page...)
}

// Continue is the answer to an expectation that is met.
const Continue = "HTTP/1.1 100 Continue\r\n\r\n"

// AppendDate appends t as fields have it (RFC 9110, 5.6.7).
func AppendDate(dst []byte, t time.Time) []byte {
	return t.UTC().AppendFormat(dst, "Mon, 02 Jan 2006 15:04:05 GMT")
}

// StatusText is the reason that goes with a status; "Unknown" for one that is not registered.
func StatusText(status int) string {
	if status >= 0 && status < len(reasons) && reasons[status] != "" {
		return reasons[status]
	}
	return "Unknown"
}

// reasons are those of the IANA registry.
var reasons = [512]string{
	100: "Continue", 101: "Switching Protocols", 102: "Processing", 103: "Early Hints",
	200: "OK", 201: "Created", 202: "Accepted", 203: "Non-Authoritative Information", 204: "No Content", 205: "Reset Content",
	206: "Partial Content", 207: "Multi-Status", 208: "Already Reported", 226: "IM Used",
	300: "Multiple Choices", 301: "Moved Permanently", 302: "Found", 303: "See Other", 304: "Not Modified", 305: "Use Proxy",
	307: "Temporary Redirect", 308: "Permanent Redirect",
	400: "Bad Request", 401: "Unauthorized", 402: "Payment Required", 403: "Forbidden", 404: "Not Found", 405: "Method Not Allowed",
	406: "Not Acceptable", 407: "Proxy Authentication Required", 408: "Request Timeout", 409: "Conflict", 410: "Gone",
	411: "Length Required", 412: "Precondition Failed", 413: "Content Too Large", 414: "URI Too Long", 415: "Unsupported Media Type",
	416: "Range Not Satisfiable", 417: "Expectation Failed", 421: "Misdirected Request", 422: "Unprocessable Content", 423: "Locked",
	424: "Failed Dependency", 425: "Too Early", 426: "Upgrade Required", 428: "Precondition Required", 429: "Too Many Requests",
	431: "Request Header Fields Too Large", 451: "Unavailable For Legal Reasons",
	500: "Internal Server Error", 501: "Not Implemented", 502: "Bad Gateway", 503: "Service Unavailable", 504: "Gateway Timeout",
	505: "HTTP Version Not Supported", 506: "Variant Also Negotiates", 507: "Insufficient Storage", 508: "Loop Detected",
	511: "Network Authentication Required",
}
