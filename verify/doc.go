// Package verify is the judge.
package verify
