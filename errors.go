package retort

import (
	"github.com/retort-ir/retort/internal/ledger"
	"github.com/retort-ir/retort/internal/nolibtorch"
)

// ErrNoLibTorch is returned by functions that need LibTorch in a program that was built without the tag libtorch.
var ErrNoLibTorch = nolibtorch.Err

// Errors of the append-only files: run folders, score stores and answer files.
var (
	// ErrInUse means that another process, or another part of this process, has the file or folder open.
	ErrInUse = ledger.ErrInUse
	// ErrDamaged means that the content of a file has changed since it was written. The error names the file and, for a
	// file of lines, the line.
	ErrDamaged = ledger.ErrDamaged
)
