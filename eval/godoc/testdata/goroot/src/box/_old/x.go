// Package old must be left out.
package old
