// Package task runs functions in processes.
package task
