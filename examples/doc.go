// Package examples holds apps that deploy as they are, one per folder, and the test that deploys them.
// They are not part of this module's code: each stands for a project of its own.
package examples
