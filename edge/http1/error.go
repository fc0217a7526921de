package http1

// An Error says why a message is refused. All of them are made beforehand: to refuse costs no allocation. After any of
// them the connection the message came over is closed once the answer is sent, and nothing more is read from it as
// HTTP: where the next message would begin is not known.
type Error struct {
	// Status answers the request: 400, 405, 413, 414, 417, 431, 501 or 505. It is 502 when a response is refused.
	Status int
	// Word names the fault in a log, a counter and X-Semper-Error. There are few of them.
	Word string
	// Reason is a sentence for whoever made the message.
	Reason string
}

// Error is the reason.
func (e *Error) Error() string { return e.Word + ": " + e.Reason }

// A defect is what is wrong with a message, whichever kind of message it is.
type defect uint8

const (
	fine defect = iota
	notHTTP
	badMethod
	longMethod
	tunnel
	badTarget
	longTarget
	asterisk
	hiddenPath
	badVersion
	otherVersion
	badStatusLine
	badStatus
	earlySpace
	folded
	badName
	emptyName
	nameSpace
	noColon
	badValue
	bareCR
	bareLF
	longLine
	longHead
	manyFields
	noHost
	manyHosts
	badHost
	badLength
	manyLengths
	lengthAndCoding
	badCoding
	unknownCoding
	manyCodings
	coding10
	largeBody
	badExpect
	manyOptions
	traceBody
	badChunkSize
	longChunkSize
	badChunkExt
	longChunkExt
	badChunkEnd
	truncated
	unaskedSwitch
	otherSwitch
	numDefects
)

// faults holds for each defect the status of the request that has it, the word and the reason.
var faults = [numDefects]Error{
	notHTTP:         {400, "not-http", "this is not HTTP/1.1; speak it, or use the port of the protocol you speak"},
	badMethod:       {400, "bad-method", "a method is a token and ends at one space (RFC 9110, 9.1)"},
	longMethod:      {501, "bad-method", "no method has so long a name"},
	tunnel:          {405, "method", "this server does not open tunnels; use a method other than CONNECT"},
	badTarget:       {400, "bad-target", "the target is neither a path nor a URL of http or https with all its bytes encoded (RFC 3986)"},
	longTarget:      {414, "long-target", "the target is too long; send what makes it long as content"},
	asterisk:        {400, "bad-target", "the target * is for OPTIONS only (RFC 9112, 3.2.4)"},
	hiddenPath:      {400, "bad-target", "the path hides a dot segment, a backslash or a NUL behind an encoding; send it plain, or not at all"},
	badVersion:      {400, "bad-version", "the request line does not end with HTTP/1.1 or HTTP/1.0 and CR LF (RFC 9112, 3)"},
	otherVersion:    {505, "bad-version", "only HTTP/1.1 and HTTP/1.0 are spoken here"},
	badStatusLine:   {400, "bad-status-line", "the status line is not that of HTTP/1.1 or HTTP/1.0 (RFC 9112, 4)"},
	badStatus:       {400, "bad-status", "a status is a number from 100 to 599 (RFC 9110, 15)"},
	earlySpace:      {400, "bad-field", "white space stands before the first field (RFC 9112, 2.2)"},
	folded:          {400, "bad-field", "a field goes on over a second line (RFC 9112, 5.2); write it on one"},
	badName:         {400, "bad-field", "a field's name is a token (RFC 9110, 5.1)"},
	emptyName:       {400, "bad-field", "a field has no name (RFC 9110, 5.1)"},
	nameSpace:       {400, "bad-field", "white space stands in or behind a field's name (RFC 9112, 5.1)"},
	noColon:         {400, "bad-field", "a field line has no colon (RFC 9112, 5)"},
	badValue:        {400, "bad-field", "a field's value has a control character (RFC 9110, 5.5)"},
	bareCR:          {400, "bad-line-end", "a CR stands without LF (RFC 9112, 2.2)"},
	bareLF:          {400, "bad-line-end", "a line ends with LF alone (RFC 9112, 2.2); end it with CR LF"},
	longLine:        {431, "large-head", "a field is too long"},
	longHead:        {431, "large-head", "the fields are too long together"},
	manyFields:      {431, "large-head", "there are too many fields"},
	noHost:          {400, "bad-host", "a request of HTTP/1.1 has no Host (RFC 9112, 3.2)"},
	manyHosts:       {400, "bad-host", "a request has more than one Host (RFC 9112, 3.2)"},
	badHost:         {400, "bad-host", "the host is not a name or an address with an optional port (RFC 9110, 7.2)"},
	badLength:       {400, "bad-length", "Content-Length is not a number in decimal digits (RFC 9110, 8.6)"},
	manyLengths:     {400, "bad-length", "there is more than one Content-Length (RFC 9112, 6.3)"},
	lengthAndCoding: {400, "bad-length", "there is Content-Length beside Transfer-Encoding (RFC 9112, 6.3); send one of them"},
	badCoding:       {400, "bad-coding", "Transfer-Encoding is not exactly: chunked (RFC 9112, 6.1)"},
	unknownCoding:   {501, "bad-coding", "no transfer coding but chunked is understood here (RFC 9112, 6.1)"},
	manyCodings:     {400, "bad-coding", "there is more than one Transfer-Encoding (RFC 9112, 6.1)"},
	coding10:        {400, "bad-coding", "HTTP/1.0 has no Transfer-Encoding (RFC 9112, 6.1)"},
	largeBody:       {413, "large-body", "the content is larger than what is taken here"},
	badExpect:       {417, "expect", "nothing but 100-continue can be expected here (RFC 9110, 10.1.1)"},
	manyOptions:     {400, "bad-connection", "Connection names too many fields"},
	traceBody:       {400, "bad-length", "TRACE has no content (RFC 9110, 9.3.8)"},
	badChunkSize:    {400, "bad-chunk", "a chunk's size is not a number in hexadecimal digits (RFC 9112, 7.1)"},
	longChunkSize:   {400, "bad-chunk", "a chunk's size has too many digits (RFC 9112, 7.1)"},
	badChunkExt:     {400, "bad-chunk", "a chunk's extension is malformed (RFC 9112, 7.1.1)"},
	longChunkExt:    {400, "bad-chunk", "chunk extensions are too long; leave them out"},
	badChunkEnd:     {400, "bad-chunk", "a chunk is longer than its size says, or a line of it does not end with CR LF (RFC 9112, 7.1)"},
	truncated:       {400, "short-body", "the connection ended before the message did (RFC 9112, 8)"},
	unaskedSwitch:   {400, "bad-upgrade", "the protocol was changed without being asked to (RFC 9110, 15.2.2)"},
	otherSwitch:     {400, "bad-upgrade", "the protocol was changed to one that was not asked for (RFC 9110, 7.8)"},
}

var requestErrors, responseErrors = func() (q, s [numDefects]*Error) {
	for d := range faults {
		of := faults[d]
		q[d] = &of
		by := faults[d]
		by.Status, by.Reason = 502, "the app's answer: "+by.Reason
		s[d] = &by
	}
	return q, s
}()

// What a driver finds out itself.
var (
	// ErrBodyTooLarge is for content beyond a route's own limit.
	ErrBodyTooLarge = requestErrors[largeBody]
	// ErrBodyTruncated is what Body.Truncated says of a request.
	ErrBodyTruncated = requestErrors[truncated]
	// ErrResponseTruncated is for an instance that closes before its head is whole, and what Body.Truncated says of a
	// response.
	ErrResponseTruncated = responseErrors[truncated]
)
