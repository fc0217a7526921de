// Package foreign knows what other tools' files call what semper.yaml has, for hints to who comes from there.
package foreign
