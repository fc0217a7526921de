package accept_test

import (
	"net/http"
	"path"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"semper/queue"
)

// inBubble is f where the clock stands still, at midnight of 2000-01-01.
func inBubble(t *testing.T, s queue.Settings, f func(t *testing.T, h http.Handler, q queue.Queue)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		h, q := open(t, s)
		f(t, h, q)
	})
}

func TestClientsSayWhenAndHowSoon(t *testing.T) {
	t.Parallel()
	s := queue.Settings{Policy: queue.Policy{TTL: time.Hour}, Wishes: queue.Wishes{Priority: 3, Delay: 10 * time.Minute}}
	now := time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)
	for name, tc := range map[string]struct {
		fields []string
		wish   queue.Job
		says   string // of a refusal
	}{
		"nothing":                {nil, queue.Job{Expires: now.Add(time.Hour)}, ""},
		"urgent":                 {[]string{"Semper-Priority", "3"}, queue.Job{Priority: 3, Expires: now.Add(time.Hour)}, ""},
		"when there is time":     {[]string{"Semper-Priority", " -9"}, queue.Job{Priority: -9, Expires: now.Add(time.Hour)}, ""},
		"in a minute":            {[]string{"Semper-Not-Before", "60", "Semper-TTL", "30"}, queue.Job{NotBefore: now.Add(time.Minute), Expires: now.Add(90 * time.Second)}, ""},
		"at a time":              {[]string{"Semper-Not-Before", "2000-01-01T01:05:00+01:00"}, queue.Job{NotBefore: now.Add(5 * time.Minute), Expires: now.Add(65 * time.Minute)}, ""},
		"at an HTTP-date":        {[]string{"Semper-Not-Before", "Sat, 01 Jan 2000 00:00:02 GMT"}, queue.Job{NotBefore: now.Add(2 * time.Second), Expires: now.Add(time.Hour + 2*time.Second)}, ""},
		"at a time that is past": {[]string{"Semper-Not-Before", "1999-12-31T00:00:00Z"}, queue.Job{Expires: now.Add(time.Hour)}, ""},
		"too urgent":             {[]string{"Semper-Priority", "4"}, queue.Job{}, "Semper-Priority: 4 is above 3"},
		"no priority":            {[]string{"Semper-Priority", "high"}, queue.Job{}, "Semper-Priority: 'high'"},
		"two priorities":         {[]string{"Semper-Priority", "1, 2"}, queue.Job{}, "Semper-Priority: '1, 2'"},
		"too late":               {[]string{"Semper-Not-Before", "601"}, queue.Job{}, "later than 10m0s"},
		"before the beginning":   {[]string{"Semper-Not-Before", "-1"}, queue.Job{}, "Semper-Not-Before"},
		"no time":                {[]string{"Semper-Not-Before", "tomorrow"}, queue.Job{}, "Semper-Not-Before"},
		"too long a wait":        {[]string{"Semper-TTL", "3601"}, queue.Job{}, "longer than 1h0m0s"},
		"no wait":                {[]string{"Semper-TTL", "0"}, queue.Job{}, "Semper-TTL"},
		"a wait without end":     {[]string{"Semper-TTL", "99999999999999999999"}, queue.Job{}, "Semper-TTL"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			inBubble(t, s, func(t *testing.T, h http.Handler, q queue.Queue) {
				w := ask(h, "POST", "/", name, tc.fields...)
				if tc.says != "" {
					if w.Code != 400 || !strings.Contains(strings.ReplaceAll(w.Body.String(), `\"`, "'"), tc.says) {
						t.Errorf("%d %s", w.Code, w.Body)
					}
					return
				}
				id, err := queue.ParseID(path.Base(w.Header().Get("Location")))
				if err != nil {
					t.Fatal(w.Code, w.Body, err)
				}
				j, err := q.Peek(t.Context(), id)
				if err != nil || j.Priority != tc.wish.Priority || !j.NotBefore.Equal(tc.wish.NotBefore) || !j.Expires.Equal(tc.wish.Expires) || j.Request.Header.Get("Semper-Priority") != "" {
					t.Errorf("%+v %v", j, err)
				}
			})
		})
	}
}

func TestAKeyIsInTheBody(t *testing.T) {
	t.Parallel()
	inBubble(t, queue.Settings{KeyPointer: "/customer/id", Policy: queue.Policy{Order: queue.OrderKey}}, func(t *testing.T, h http.Handler, q queue.Queue) {
		for i, body := range []string{`{"customer":{"id":7}}`, `{"customer":{"id":"7"}}`, `{"customer":{"id":"8"}}`, `{}`, `{}`} {
			if w := ask(h, "POST", "/"+strconv.Itoa(i), body); w.Code != 202 {
				t.Errorf("%s: %d %s", body, w.Code, w.Body)
			}
		}
		c, err := q.Claim(t.Context(), "me", 9)
		if err != nil {
			t.Fatal(err)
		}
		var started []string
		for _, one := range c {
			started = append(started, one.Request.Target+" "+one.Key)
		}
		if got := strings.Join(started, ", "); got != "/0 7, /2 8, /3 , /4 " {
			t.Errorf("started: %s", got)
		}
		for body, says := range map[string]string{"x": "no JSON at byte 1", `{"customer":{"id":{}}}`: "no plain value at /customer/id", `{"customer":1}`: "nothing below /customer"} {
			if w := ask(h, "POST", "/", body); w.Code != 400 || !strings.Contains(w.Body.String(), says) {
				t.Errorf("%s: %d %s", body, w.Code, w.Body)
			}
		}
	})
}
