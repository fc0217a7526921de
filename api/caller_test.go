package api_test

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"semper"
	"semper/api"
)

// Over TCP a token says who somebody is, and his role what he may. Nobody is who he says he is in a request.
func TestRoles(t *testing.T) {
	t.Parallel()
	users := map[string]api.Caller{
		"vera": {Name: "vera", Role: api.Viewer}, "dan": {Name: "dan", Role: api.Deployer}, "ada": {Name: "ada", Role: api.Admin},
	}
	s := fresh(t)
	srv := httptest.NewServer(api.NewServer(s, api.ServerOptions{
		Token: func() string { return "owner" },
		User: func(digest string) (api.Caller, bool) {
			for token, c := range users {
				if digest == api.TokenDigest(token) || digest == api.SessionDigest(token) {
					return c, true
				}
			}
			return api.Caller{}, false
		},
	}))
	defer srv.Close()
	for _, c := range []struct {
		token string
		code  map[string]semper.Code // of looking, of a change, and of what takes an admin
	}{
		{"vera", map[string]semper.Code{"look": "", "change": semper.Forbidden, "admin": semper.Forbidden}},
		{"dan", map[string]semper.Code{"look": "", "change": "", "admin": semper.Forbidden}},
		{"ada", map[string]semper.Code{"look": "", "change": "", "admin": ""}},
		{"owner", map[string]semper.Code{"look": "", "change": "", "admin": ""}},
		{"eve", map[string]semper.Code{"look": semper.Forbidden, "change": semper.Forbidden, "admin": semper.Forbidden}},
	} {
		client, err := api.NewClient(srv.URL, api.ClientOptions{Token: c.token})
		if err != nil {
			t.Fatal(err)
		}
		defer client.Close()
		_, look := client.Users(t.Context())
		line, change := client.SetLine(t.Context(), "", true, "x")
		_, admin := client.AddUser(t.Context(), api.User{Caller: api.Caller{Name: "new", Role: api.Viewer}})
		for what, err := range map[string]error{"look": look, "change": change, "admin": admin} {
			if got := semper.CodeOf(err); got != c.code[what] {
				t.Errorf("%s, %s: %v (%s), want %s", c.token, what, err, got, c.code[what])
			}
		}
		if want := users[c.token].Name; change == nil && want != "" && line.By != want {
			t.Errorf("%s stopped the line as %s", c.token, line.By)
		}
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, srv.URL+"/v1/users", nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer "+api.TokenDigest(c.token)) // what is stored opens nothing
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		if res.Body.Close(); res.StatusCode != http.StatusUnauthorized {
			t.Errorf("the digest of %s opens: %s", c.token, res.Status)
		}
	}
}
