package accesslog

import (
	"net/netip"
	"strconv"
	"time"

	"semper/edge/trace"
)

// A formatter makes lines of records. It belongs to one goroutine.
type formatter struct {
	form   Format
	second int64 // that stamp is of
	stamp  []byte
}

func newFormatter(f Format) *formatter { return &formatter{form: f, second: -1 << 63} }

// append appends the line of r, whose strings lie one behind the other.
func (f *formatter) append(b []byte, r *record, strings []byte) []byte {
	var s [fields][]byte
	for i, n := range r.lengths {
		s[i], strings = strings[:n], strings[n:]
	}
	if f.form == Combined {
		return f.combined(b, r, &s)
	}
	return f.json(b, r, &s)
}

// time is the second of the record's beginning, formatted once for all records of it.
func (f *formatter) time(r *record, layout string) (stamp []byte, rest int64) {
	second := r.began / 1e9
	if rest = r.began % 1e9; rest < 0 {
		second, rest = second-1, rest+1e9
	}
	if second != f.second {
		f.second = second
		f.stamp = time.Unix(second, 0).UTC().AppendFormat(f.stamp[:0], layout)
	}
	return f.stamp, rest
}

func (f *formatter) json(b []byte, r *record, s *[fields][]byte) []byte {
	stamp, rest := f.time(r, "2006-01-02T15:04:05")
	b = append(append(b, `{"ts":"`...), stamp...)
	b = append(appendFraction(b, rest), 'Z', '"')
	if r.flags&flagClient != 0 {
		b = append(appendClient(append(b, `,"client":"`...), r), '"')
	}
	b = appendString(b, `,"method":`, s[fieldMethod])
	if r.flags&flagTLS != 0 {
		b = append(b, `,"scheme":"https"`...)
	} else {
		b = append(b, `,"scheme":"http"`...)
	}
	b = appendString(b, `,"host":`, s[fieldHost])
	b = appendString(b, `,"target":`, s[fieldTarget])
	b = append(append(append(b, `,"protocol":"`...), r.protocol.String()...), '"')
	b = strconv.AppendUint(append(b, `,"status":`...), uint64(r.status), 10)
	b = strconv.AppendInt(append(b, `,"request_bytes":`...), r.requestBytes, 10)
	b = strconv.AppendInt(append(b, `,"response_bytes":`...), r.response, 10)
	b = appendSeconds(append(b, `,"duration":`...), r.took)
	if r.upstream > 0 {
		b = appendSeconds(append(b, `,"upstream_duration":`...), r.upstream)
	}
	if r.held > 0 {
		b = appendSeconds(append(b, `,"held":`...), r.held)
	}
	if r.tries > 0 {
		b = strconv.AppendUint(append(b, `,"tries":`...), uint64(r.tries), 10)
	}
	if r.hedge != NoHedge {
		b = append(append(append(b, `,"hedge":"`...), r.hedge.String()...), '"')
	}
	if r.place != nil {
		b = append(b, r.place.json...)
	}
	b = appendString(b, `,"instance":`, s[fieldInstance])
	b = appendString(b, `,"cause":`, s[fieldCause])
	b = appendString(b, `,"referer":`, s[fieldReferer])
	b = appendString(b, `,"user_agent":`, s[fieldAgent])
	b = appendString(b, `,"request_id":`, s[fieldID])
	if r.trace != (trace.ID{}) {
		b = append(r.trace.Append(append(b, `,"trace_id":"`...)), '"')
		b = append(r.span.Append(append(b, `,"span_id":"`...)), '"')
	}
	if r.flags&flagTruncated != 0 {
		b = append(b, `,"truncated":true`...)
	}
	if r.share < 1 {
		b = strconv.AppendFloat(append(b, `,"share":`...), float64(r.share), 'g', -1, 32)
	}
	return append(b, '}', '\n')
}

// appendString appends a member, unless it is empty.
func appendString(b []byte, key string, s []byte) []byte {
	if len(s) == 0 {
		return b
	}
	return appendJSON(append(b, key...), s)
}

func (f *formatter) combined(b []byte, r *record, s *[fields][]byte) []byte {
	if r.flags&flagClient != 0 {
		b = appendClient(b, r)
	} else {
		b = append(b, '-')
	}
	stamp, _ := f.time(r, "02/Jan/2006:15:04:05 -0700")
	b = append(append(append(b, ` - - [`...), stamp...), `] "`...)
	if len(s[fieldMethod]) == 0 {
		b = append(b, '-')
	} else {
		b = append(appendEscaped(b, s[fieldMethod]), ' ')
		b = append(appendEscaped(b, s[fieldTarget]), ' ')
		b = append(b, r.protocol.String()...)
	}
	b = append(b, `" `...)
	if r.status == 0 {
		b = append(b, '-')
	} else {
		b = strconv.AppendUint(b, uint64(r.status), 10)
	}
	b = strconv.AppendInt(append(b, ' '), r.response, 10)
	b = appendQuoted(append(b, ' '), s[fieldReferer])
	b = appendQuoted(append(b, ' '), s[fieldAgent])
	b = appendSeconds(append(b, ` rt=`...), r.took)
	if r.upstream > 0 {
		b = appendSeconds(append(b, ` urt=`...), r.upstream)
	} else {
		b = append(b, ` urt=-`...)
	}
	if r.hedge != NoHedge {
		b = append(append(b, ` hedge=`...), r.hedge.String()...)
	}
	if r.place != nil {
		b = append(b, r.place.combined...)
	}
	if len(s[fieldInstance]) > 0 {
		b = appendQuoted(append(b, ` instance=`...), s[fieldInstance])
	}
	if r.trace != (trace.ID{}) {
		b = r.trace.Append(append(b, ` trace=`...))
	}
	if len(s[fieldCause]) > 0 {
		b = appendQuoted(append(b, ` cause=`...), s[fieldCause])
	}
	return append(b, '\n')
}

func appendClient(b []byte, r *record) []byte {
	return netip.AddrFrom16(r.client).Unmap().AppendTo(b)
}

// appendSeconds appends d in seconds, to the microsecond.
func appendSeconds(b []byte, d time.Duration) []byte {
	d = max(d, 0)
	return appendFraction(strconv.AppendInt(b, int64(d/time.Second), 10), int64(d%time.Second))
}

// appendFraction appends the microseconds of a second as ".123456".
func appendFraction(b []byte, nanoseconds int64) []byte {
	us := nanoseconds / 1000
	b = append(b, '.', 0, 0, 0, 0, 0, 0)
	for i := len(b) - 1; b[i] != '.'; i-- {
		b[i] = byte('0' + us%10)
		us /= 10
	}
	return b
}
