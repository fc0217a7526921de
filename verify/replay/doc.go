// Package replay sends recorded requests to a candidate, and compares what it says with what the baseline said or says.
//
// # Problem
//
// A recording is evidence that costs nobody anything: yesterday's requests, asked of tomorrow's release. But the answer that was recorded is
// of yesterday's data, and no two answers of one release need to be alike. So one asks the baseline too, and twice, at the same moment
// as the candidate: where both answers of the baseline differ there is noise, and package verify/diff says what is more than that. Where no baseline is
// left to ask, the recorded answers stand for it. Then every difference is told and none is proven.
//
// # Invariants
//
//   - Requests go to the addresses that were given, and nowhere else: redirects are not followed, no proxy of the environment is asked, and an
//     address that was recorded is refused until it is said that it is meant.
//   - What is not safe (RFC 9110, 9.2.1) is not sent until it is asked for, and then to the baseline once only.
//   - All memory is bounded: exchanges in hand by Concurrency, contents by MaxBody; what is larger is compared by length and hash, and counted.
//   - Each exchange is counted once: compared, without a reference, or left out for a reason.
//   - Pairs are counted in the order of the recording, so that two runs with the same answers have the same result.
//
// # What it does not do
//
// It makes no load: it keeps a timetable where it can and counts where it was late. It does not rewrite requests but for header fields that
// are given: sessions that have ended have ended. What it returns is masked, as package verify/diff does.
package replay
