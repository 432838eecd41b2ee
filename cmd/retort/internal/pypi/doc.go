// Package pypi downloads pinned packages from the Python Package Index and checks their SHA-256. The user's pip
// downloads them, so that the user's index, proxy and certificates apply. pip imports no file of the working folder.
package pypi
