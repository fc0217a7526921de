// Package edge is the data plane.
package edge
