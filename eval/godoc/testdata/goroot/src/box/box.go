// Package box packs things. See [Box] and the [Box.Open] method.
package box

import "errors"

// MaxItems is the most that a box holds.
const MaxItems = 12

// Sizes of boxes.
const (
	Small Size = iota // fits in a pocket
	Medium
	// Large boxes
	// need a van.
	Large // more than a metre
	hidden
)

const NoComment = 1

var (
	// ErrFull is returned when nothing more fits.
	ErrFull       = errors.New("full")
	errUnexported = errors.New("no")
)

// Size is how much a box holds.
type Size int

// Box is a container.
//
// The zero value is an empty box:
//
//	var b Box
//	b.Open()
type Box struct {
	// Label is a field, which is no passage.
	Label string
	base
}

// New returns a box of the given size.
func New(s Size) *Box { return nil }

// Open opens the box. It returns [ErrFull]
// when the box is full.
func (b *Box) Open() error { return nil }

func (b *Box) Close() error { return nil }

// seal is not exported.
func (b *Box) seal() {}

type base struct{}

// Weigh is a method of an embedded type that is not exported.
func (base) Weigh() int { return 0 }

// Opener is what can be opened.
type Opener interface {
	// Open opens it.
	Open() error
	Shut() error // Shut shuts it.
	Silent()
	unexported()
}

// Pack puts items in a box.
func Pack(items ...any) (*Box, error) { return nil, ErrFull }

// pack is not exported.
func pack() {}
