// Package web is semper's page: what runs, which release serves, what happened and why, rendered on
// the server, readable without JavaScript, and kept current over one stream of server-sent events.
//
// What waits for a person may be answered here: a run that asks for a yes, a queue whose jobs died. All other changes are made by the
// CLI and the API. Whether the caller may is the server's to say; buttons are drawn for who may.
package web
