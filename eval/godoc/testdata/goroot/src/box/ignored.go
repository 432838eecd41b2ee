//go:build ignore

package main

// Ignored is in no build.
func Ignored() {}
