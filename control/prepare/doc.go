// Package prepare makes a release of what somebody asks to deploy, and says what deploying it means.
//
// It is functions of the request and of what is stored: it writes nothing, and of secrets it learns the numbers of versions and no value. Whether a spec can be served it
// leaves to edges, and whether an environment takes a release to its gates.
package prepare
