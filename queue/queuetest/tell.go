package queuetest

import (
	"slices"
	"time"

	"semper/queue"
)

// teller is f's queue as one that remembers whose end is to be told.
func (f *fixture) teller() queue.Teller {
	f.Helper()
	t, ok := f.q.(queue.Teller)
	if !ok {
		f.Skip("the engine remembers no ends that are to be told")
	}
	return t
}

func (f *fixture) untold() []queue.End {
	f.Helper()
	ends, err := f.teller().Untold(f.ctx, queue.ID{}, 100)
	f.must(err)
	return ends
}

func called(body string) queue.Job {
	j := job(body)
	j.Callback = "https://hooks.example/" + body
	return j
}

// tellEnds: each way to end is to be told, of jobs with a callback and of no others.
func tellEnds(f *fixture) {
	f.open(queue.Policy{Lease: time.Second, MaxAttempts: 1})
	f.teller()
	expiring := called("expired")
	expiring.Expires = time.Now().Add(time.Second)
	expiring.NotBefore = time.Now().Add(900 * time.Millisecond)
	to := map[queue.ID]string{}
	var ids []queue.ID
	for _, j := range []queue.Job{called("done"), called("failed"), called("lapsed"), called("discarded")} {
		ids = append(ids, f.put(j))
		to[ids[len(ids)-1]] = j.Callback
	}
	other := f.put(job("told to nobody"))
	c := f.claim(5)
	f.complete(c[0])
	f.fail(c[1])
	f.must(f.q.Release(f.ctx, c[3].Lease))
	_, err := f.q.Discard(f.ctx, ann, ids[3])
	f.must(err)
	f.complete(c[4])
	ids = append(ids, f.put(expiring))
	to[ids[4]] = expiring.Callback
	if _, err := f.q.Pause(f.ctx, ann); err != nil {
		f.Fatal(err)
	}
	for _, id := range append(ids, other) {
		if _, err := f.q.Wait(f.ctx, id); err != nil {
			f.Fatal(err)
		}
	}
	ends := f.untold()
	if len(ends) != len(ids) {
		f.Fatalf("%d of %d ends are to be told: %+v", len(ends), len(ids), ends)
	}
	for i, e := range ends {
		if e.To == "" || e.To != to[e.ID] || i > 0 && e.ID.String() <= ends[i-1].ID.String() {
			f.Errorf("end %d is %+v, of %q", i, e, to[e.ID])
		}
	}
	page, err := f.teller().Untold(f.ctx, ends[1].ID, 2)
	f.must(err)
	if !slices.Equal(page, ends[2:4]) {
		f.Errorf("two after the second are %+v", page)
	}
	f.must(f.teller().Told(f.ctx, ends[0], ends[2]))
	f.must(f.teller().Told(f.ctx, ends[:3]...)) // some of them again
	if rest := f.untold(); !slices.Equal(rest, ends[3:]) {
		f.Errorf("the rest is %+v", rest)
	}
}

// tellAgain: a job that is retried has another end, and whoever was at telling the first does not forget that.
func tellAgain(f *fixture) {
	f.open(queue.Policy{MaxAttempts: 1})
	f.teller()
	id := f.put(called("x"))
	f.fail(f.one())
	first := f.untold()
	_, err := f.q.Retry(f.ctx, ann, id)
	f.must(err)
	f.complete(f.one())
	f.must(f.teller().Told(f.ctx, first...))
	if second := f.untold(); len(second) != 1 || second[0].ID != id || second[0].Mark == first[0].Mark {
		f.Errorf("after %+v there is %+v", first, second)
	}
}

func crashTell(f *fixture) {
	f.open(queue.Policy{})
	f.teller()
	f.put(called("x"))
	f.put(called("y"))
	f.complete(f.one())
	before := f.untold()
	f.crash()
	if now := f.untold(); len(now) != 1 || !slices.Equal(now, before) {
		f.Errorf("before %+v, after %+v", before, now)
	}
	f.complete(f.one()) // whose record was read again
	if now := f.untold(); len(now) != 2 || now[0].To == now[1].To {
		f.Errorf("then %+v", now)
	}
}
