// Package mark is how a keeper knows its processes again: every process it starts, and whatever that
// starts, carries a mark in its environment, where nothing but the kernel can change it any more.
package mark
