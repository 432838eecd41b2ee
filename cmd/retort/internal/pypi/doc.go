// Package pypi brings pinned packages from the Python Package Index: pip downloads the wheel, so that the user's own
// index, proxy and certificates apply, and its SHA-256 is checked. pip runs isolated: no file of the working folder is
// imported.
package pypi
