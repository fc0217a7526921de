package web

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"semper"
	"semper/api"
	"semper/api/apitest"
)

// counting counts what a stream asks for.
type counting struct {
	*apitest.Semper
	overviews, trees, releases atomic.Int64
}

func (c *counting) Overview(ctx context.Context) (api.Overview, error) {
	c.overviews.Add(1)
	return c.Semper.Overview(ctx)
}

func (c *counting) Tree(ctx context.Context) (api.TreeNode, error) {
	c.trees.Add(1)
	return c.Semper.Tree(ctx)
}

func (c *counting) Releases(ctx context.Context, app string) ([]api.ReleaseInfo, error) {
	c.releases.Add(1)
	return c.Semper.Releases(ctx, app)
}

// A browser collects what a stream sends.
type browser struct {
	header http.Header
	mu     sync.Mutex
	text   strings.Builder // guarded by mu
	leave  context.CancelFunc
	gone   chan struct{}
}

func (b *browser) Header() http.Header { return b.header }
func (b *browser) WriteHeader(int)     {}
func (b *browser) Flush()              {}
func (b *browser) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

// follow opens a page's stream with what the browser has already.
func follow(t *testing.T, h http.Handler, app, have string) *browser {
	t.Helper()
	q := url.Values{"have": {have}}
	if app != "" {
		q.Set("app", app)
		q.Set("env", semper.DefaultEnvironment)
	}
	return followed(t, h, "/ui/events?"+q.Encode())
}

// followed opens the stream at target.
func followed(t *testing.T, h http.Handler, target string) *browser {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	b := &browser{header: http.Header{}, leave: cancel, gone: make(chan struct{})}
	r := httptest.NewRequestWithContext(ctx, http.MethodGet, target, nil)
	go func() {
		defer close(b.gone)
		h.ServeHTTP(b, r)
	}()
	t.Cleanup(func() { cancel(); <-b.gone })
	return b
}

// take is what arrived since the last take: the fragments in order, by name, and the signs of life.
func (b *browser) take(t *testing.T) (names []string, html map[string]string, alive int) {
	t.Helper()
	b.mu.Lock()
	text := b.text.String()
	b.text.Reset()
	b.mu.Unlock()
	html = map[string]string{}
	for block := range strings.SplitSeq(text, "\n\n") {
		if block == ": alive" {
			alive++
		}
		data, ok := strings.CutPrefix(block, "event: fragment\ndata: ")
		if !ok {
			continue
		}
		var m message
		if err := json.Unmarshal([]byte(data), &m); err != nil {
			t.Fatalf("%v in %q", err, data)
		}
		names, html[m.Name] = append(names, m.Name), m.HTML
	}
	return names, html, alive
}

func same(t *testing.T, what string, got []string, want ...string) {
	t.Helper()
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("%s: sent %v, want %v", what, got, want)
	}
}

func TestStreamSendsOnlyWhatChanged(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := stage(t)
		b := follow(t, Handler(s), "shop", "")
		synctest.Wait()
		names, _, _ := b.take(t)
		same(t, "to a browser that has nothing", names, appFragments()...)

		time.Sleep(3*lookEvery + lookEvery/2) // from here on always between two looks
		names, _, _ = b.take(t)
		same(t, "once rates are known", names, "head", "traffic")

		s.Count("shop", "", "r2", semper.Ledger{Accepted: 10, Served: 10})
		time.Sleep(lookEvery)
		names, html, _ := b.take(t)
		same(t, "after requests", names, "head", "traffic")
		if !strings.Contains(html["traffic"], "10/s") || !strings.Contains(html["traffic"], "100 %") {
			t.Errorf("ten requests in a second are not told: %s", html["traffic"])
		}
		time.Sleep(lookEvery)
		b.take(t) // the rate falls back to nothing

		s.CrashInstance("shop", "", "shop/web.r2.2", semper.Reason{Kind: semper.ReasonExit, Code: 9})
		time.Sleep(2 * settle)
		names, html, _ = b.take(t)
		same(t, "after a crash", names, "instances", "tree", "crashes", "events")
		if !strings.Contains(html["crashes"], "exit code 9") {
			t.Errorf("the crash is not told: %s", html["crashes"])
		}

		s.CrashInstance("blog", "", "blog/web.r1.1", semper.Reason{Kind: semper.ReasonExit, Code: 9})
		time.Sleep(2 * settle)
		names, _, _ = b.take(t)
		same(t, "after another app's crash", names)
	})
}

func TestIdleStreamCostsLittle(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &counting{Semper: stage(t)}
		h := Handler(s)
		const viewers = 5
		var all []*browser
		for range viewers {
			all = append(all, follow(t, h, "shop", ""))
		}
		time.Sleep(3 * lookEvery)
		for _, b := range all {
			b.take(t)
		}
		before, trees, releases := s.overviews.Load(), s.trees.Load(), s.releases.Load()
		const looks = 300
		time.Sleep(looks * lookEvery)
		for _, b := range all {
			names, _, alive := b.take(t)
			same(t, "while nothing happens", names)
			if want := looks / aliveEvery; alive < want-1 || alive > want+1 {
				t.Errorf("%d signs of life in %d looks, want about %d", alive, looks, want)
			}
		}
		if n := s.overviews.Load() - before; n > looks+viewers*looks/partsEvery+1 {
			t.Errorf("%d overviews for %d viewers in %d looks: looks are not shared", n, viewers, looks)
		}
		if n, want := s.trees.Load()-trees, int64(viewers*looks/partsEvery); n > want+viewers {
			t.Errorf("%d trees, want %d", n, want)
		}
		if n, want := s.releases.Load()-releases, int64(viewers*looks/partsEvery); n > want+viewers {
			t.Errorf("%d lists of releases, want %d", n, want)
		}
		for _, b := range all {
			b.leave()
			<-b.gone
		}
		before = s.overviews.Load()
		time.Sleep(looks * lookEvery)
		if n := s.overviews.Load() - before; n != 0 {
			t.Errorf("%d overviews while nobody looks", n)
		}
	})
}

func TestStreamGoesOnFromThePage(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := stage(t)
		h := Handler(s)
		for _, path := range []string{"/app/shop/production", "/"} {
			page := body(t, get(t, h, path))
			var have []string
			for _, section := range strings.Split(page, "<section")[1:] {
				tag, _, _ := strings.Cut(section, ">")
				_, id, _ := strings.Cut(tag, ` id="`)
				id, _, _ = strings.Cut(id, `"`)
				_, v, _ := strings.Cut(tag, ` data-v="`)
				v, _, _ = strings.Cut(v, `"`)
				have = append(have, id+":"+v)
			}
			app, _, _ := strings.Cut(strings.TrimPrefix(path, "/app/"), "/")
			b := follow(t, h, app, strings.Join(have, ","))
			synctest.Wait()
			names, _, _ := b.take(t)
			same(t, "to a page just loaded from "+path, names)
		}
	})
}

func TestStreamTellsThatThePageStandsStill(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := stage(t)
		b := follow(t, Handler(s), "shop", "")
		time.Sleep(3 * lookEvery)
		b.take(t)

		s.Down(&semper.Error{Code: semper.Unavailable, Message: "the store is away", Hint: "semper doctor"})
		time.Sleep(3 * lookEvery)
		names, html, _ := b.take(t)
		same(t, "while the store is away", names, "notice")
		if !strings.Contains(html["notice"], "the store is away") {
			t.Errorf("the notice is %q", html["notice"])
		}

		s.Down(nil)
		time.Sleep(3 * lookEvery)
		names, html, _ = b.take(t)
		same(t, "once it is back", names, "notice")
		if html["notice"] != "" {
			t.Errorf("the notice stays: %q", html["notice"])
		}
	})
}

func TestStreamOfWhatIsNotThere(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := stage(t)
		b := follow(t, Handler(s), "none", "")
		synctest.Wait()
		_, html, _ := b.take(t)
		if !strings.Contains(html["notice"], "no app") {
			t.Errorf("the notice is %q", html["notice"])
		}
	})
}

func TestStreamEndsWithTheServer(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := stage(t)
		b := follow(t, Handler(s), "", "")
		synctest.Wait()
		s.Close()
		<-b.gone
	})
}

func TestStreamFollowsARollout(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := stage(t)
		b := follow(t, Handler(s), "wiki", "")
		time.Sleep(3 * lookEvery)
		b.take(t)
		if _, err := s.Promote(t.Context(), "wiki", "", api.Promotion{By: "mira"}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * settle)
		names, html, _ := b.take(t)
		if !slices.Contains(names, "rollout") || !strings.Contains(html["rollout"], `data-say="deploy d-1 from nothing to r1: done"`) {
			t.Errorf("the end of the rollout is not told: %v %s", names, html["rollout"])
		}
		if n := len(names); n != len(slices.Compact(slices.Sorted(slices.Values(names)))) {
			t.Errorf("the events of one change were sent one by one: %v", names)
		}
	})
}
