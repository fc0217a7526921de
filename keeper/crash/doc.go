// Package crash keeps crash reports on disk until whoever stores them for good has acknowledged
// them, so that no death of the control process or of the store loses one (law L8).
package crash
