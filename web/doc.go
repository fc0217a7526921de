// Package web is semper's page: what runs, which release serves, what happened and why, rendered on
// the server, readable without JavaScript, and kept current over one stream of server-sent events.
//
// Nothing can be changed from here; changes are made by the CLI and the API.
package web
