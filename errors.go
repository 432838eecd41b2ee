package retort

import "github.com/retort-ir/retort/internal/nolibtorch"

// ErrNoLibTorch is returned by everything that needs LibTorch in a program that was built without it.
var ErrNoLibTorch = nolibtorch.Err
