// Package recorded is what the command line does with recordings and with no server: how responses are compared, and requests sent
// again, by what flags say.
//
// It reads texts of flags, files and nothing else of a command line: no flag is declared here, and nothing is printed but, while a replay goes
// on, how far it has come. Its errors never hold what may be a secret.
package recorded
