package trees

import "time"

// A Budget bounds the crash reports of one member: a loop of crashes inside a program must neither fill the disk nor push
// out what others report. The zero value is a full budget. It is not safe for concurrent use.
type Budget struct {
	begun   time.Time // of the minute that counts now
	used    int
	dropped uint64
}

// MaxCrashes is how many reports a member may leave within CrashPeriod.
const (
	MaxCrashes  = 20
	CrashPeriod = time.Minute
)

// Take tells whether a report at that moment may be filed, and of how many before it none was.
func (b *Budget) Take(now time.Time) (dropped uint64, ok bool) {
	if b.begun.IsZero() || now.Sub(b.begun) >= CrashPeriod {
		b.begun, b.used = now, 0
	}
	if b.used >= MaxCrashes {
		b.dropped++
		return 0, false
	}
	b.used++
	dropped, b.dropped = b.dropped, 0
	return dropped, true
}
