package retort

import "errors"

// ErrNoLibTorch is returned by everything that needs LibTorch in a program that was built without it.
var ErrNoLibTorch = errors.New(`built without LibTorch: run "retort libtorch install", then eval "$(retort libtorch env)" and build again`)
