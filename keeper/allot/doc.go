// Package allot decides what an instance is given: its port or socket, its user, its directories and
// its environment. The decisions are functions of values where they can be; what they need from the
// machine (is this port free, does this user exist) is asked in one place each.
package allot
