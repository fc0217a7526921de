// Package storetest is the contract of [semper.Store] as tests. A realization calls [Run] from one of its own.
package storetest
