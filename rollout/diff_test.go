package rollout

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"semper"
)

// TestDiffOfRoutes: what changes of a route is told by its host and path, line by line, and no page is printed.
func TestDiffOfRoutes(t *testing.T) {
	t.Parallel()
	of := func(routes string) semper.Release {
		r := semper.Release{Spec: semper.Spec{App: "shop"}}
		if err := json.Unmarshal([]byte(routes), &r.Spec.Routes); err != nil {
			t.Fatal(err)
		}
		return r
	}
	page := "<p>\nsorry</p>\n"
	a := of(`[{"path":"/","to":"web","policy":{"timeouts":{"response":"30s"},"rate_limit":[{"requests":2}]}},{"host":"a","path":"/old","to":"web"},{"path":"/x","to":"web"},
		{"path":"/x","to":"web","match":{"methods":["PUT"]}}]`)
	b := of(`[{"path":"/","to":"web","policy":{"timeouts":{"response":"20s"},"rate_limit":[{"requests":2}],"pages":{"404":{"body":"<p>\nsorry</p>\n"}}}},{"host":"a","path":"/old","answer":{"respond":{"status":410}}},
		{"path":"/x","to":"web"},{"path":"/x","to":"api","match":{"methods":["PUT"]}}]`)
	want := []string{
		"+ routes[/].policy.pages.404.body: 14 bytes, " + semper.DigestOf([]byte(page)).Short(),
		"~ routes[/].policy.timeouts.response: 30s → 20s",
		"~ routes[/x (2)].to: web → api",
		"+ routes[a/old].answer.respond.status: 410",
		"- routes[a/old].to: web",
	}
	if d := cmp.Diff(want, Diff(a, b)); d != "" {
		t.Error(d)
	}
}

// TestDiffOfDescriptors: a descriptor set is told by the digest of its file, as sha256sum prints it, and not by its bytes.
func TestDiffOfDescriptors(t *testing.T) {
	t.Parallel()
	of := func(set string) semper.Release {
		rules := fmt.Appendf(nil, `{"mask":["password"],"protobuf":{"set":%q,"messages":{"GET /orders":"shop.Orders"}}}`, base64.StdEncoding.EncodeToString([]byte(set)))
		return semper.Release{Spec: semper.Spec{App: "shop", Deploy: &semper.Deploy{Shadow: semper.Shadowing{Rules: rules}}}}
	}
	old, now := "\n\x0ashop.proto", strings.Repeat("\x00\xff", 4096)
	want := []string{
		"~ deploy.shadow.rules.protobuf.set: 12 bytes, " + semper.DigestOf([]byte(old)).Short() + " → 8192 bytes, " + semper.DigestOf([]byte(now)).Short(),
	}
	if d := cmp.Diff(want, Diff(of(old), of(now))); d != "" {
		t.Error(d)
	}
}
