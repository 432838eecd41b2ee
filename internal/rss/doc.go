// Package rss tells how much memory the process has taken.
package rss
