package conformance

import "slices"

// Rows are all of edge.md, 3.3, in their order.
func Rows() []Row {
	all := slices.Concat(framingRows(), headRows(), semanticsRows(), upstreamRows(), pathRows(), timeRows(), h2Rows())
	slices.SortFunc(all, func(a, b Row) int { return a.Number - b.Number })
	return all
}
