// Package pypi brings pinned packages from the Python Package Index: pip downloads the wheel, so that the user's own
// index, proxy and certificates apply, and its SHA-256 is checked.
package pypi
