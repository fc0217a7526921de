// Package telling says what a judge's record holds in the words of the API, with the band of the decision at each point of its series. The
// judge knows no API, and control no statistics: this stands between them. It decides nothing and reads no clock.
package telling
