// Package v must be left out.
package v
