// Package data must be left out.
package data
