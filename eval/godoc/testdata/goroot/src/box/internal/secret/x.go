// Package secret must be left out.
package secret
