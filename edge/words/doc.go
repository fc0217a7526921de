// Package words is what files say of a route and of a pool, in one vocabulary: the routes file of semper edge run, semper.yaml,
// and the route tables that carry the words of semper.yaml to an edge.
//
// The types are read by package strict, which has the meaning of their tags; settings that are those of a rule itself are the
// types of package route. A [Source] makes values of package route of what was read, and finds what no single key can tell.
package words
