// Package manual writes what is made of the tree of commands: man pages, and completion scripts of shells.
package manual
