// Package nolibtorch holds the error of a program that was built without LibTorch. It is a package of its own so that
// the root package and internal/torch return the same error: neither imports the other.
package nolibtorch

import "errors"

// Err is retort.ErrNoLibTorch.
var Err = errors.New(`built without LibTorch: ` +
	`run "retort libtorch install", then eval "$(retort libtorch env)" and build again`)
