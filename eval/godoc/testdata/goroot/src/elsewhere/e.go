//go:build plan9

// Package elsewhere is left out on this system.
package elsewhere
