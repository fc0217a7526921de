// Package abreast lets tests that wait more than they compute run more of them at once than there are processors, which is what go test
// does by itself. It is for the TestMain of packages whose tests wait for processes, drains and deadlines.
//
// It decides nothing where somebody has said -parallel, and it will not make tests wait for each other: a test that cannot bear others
// beside it does not call t.Parallel.
package abreast
