package progress_test

import (
	"os"

	"github.com/retort-ir/retort/cmd/retort/internal/progress"
)

// A log gets the first line of a stage, the last, and one a minute between.
func Example() {
	p := progress.New(os.Stdout)
	s := p.Stage("read the clock", 3)
	for done := range 3 {
		s.Set(done)
	}
	p.Print("the clock is slow")
	// Output:
	// read the clock  0/3
	// the clock is slow
}
