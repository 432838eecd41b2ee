//go:build !linux

package rss

// Peak returns 0: the system is not asked here.
func Peak() int64 { return 0 }

// Resident returns 0: the system is not asked here.
func Resident() int64 { return 0 }

// Anonymous returns 0: the system is not asked here.
func Anonymous() int64 { return 0 }
