// Package experiment has the commands of A/B tests: semper experiment start, status, stop, promote, list and token.
//
// What commands share, which is flags, output and the way to the server, is given to it as a [Shell]. It asks the server, and prints
// what package draw makes of the answers. It judges nothing: the server says what an experiment has shown.
package experiment
