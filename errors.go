package retort

import (
	"github.com/retort-ir/retort/internal/ledger"
	"github.com/retort-ir/retort/internal/nolibtorch"
)

// ErrNoLibTorch is returned by everything that needs LibTorch in a program that was built without it.
var ErrNoLibTorch = nolibtorch.Err

// Errors of the files that keep what was paid for: a run folder, a store of scores, a file of answers.
var (
	// ErrInUse says that another process, or another part of this one, has the file or folder open.
	ErrInUse = ledger.ErrInUse
	// ErrDamaged says that a file is not as it was written. The error names the file and, where it has lines, the line.
	ErrDamaged = ledger.ErrDamaged
)
