// Package builtin names what the language predeclares.
package builtin

// The bool type has two values.
type bool bool

// The size built-in function tells how large a value is.
func size(v any) int

// The error type is an interface.
type error interface {
	Error() string // Error describes the error.
}
