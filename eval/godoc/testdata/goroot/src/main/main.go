// Program must be left out.
package main

// Exported is in no library.
func Exported() {}
