// Package rss returns the memory use of the process.
package rss
