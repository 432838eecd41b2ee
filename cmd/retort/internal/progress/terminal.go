package progress

import (
	"io"
	"os"

	"golang.org/x/term"
)

// IsTerminal reports whether w is a terminal that can redraw a line.
func IsTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd())) && os.Getenv("TERM") != "dumb"
}

// Colours reports whether text on w may have colours: w is a terminal and NO_COLOR (https://no-color.org) is not set.
func Colours(w io.Writer) bool { return IsTerminal(w) && os.Getenv("NO_COLOR") == "" }

// terminalWidth returns a function that returns the width of the terminal w, or nil if w is not a terminal.
func terminalWidth(w io.Writer) func() int {
	if !IsTerminal(w) {
		return nil
	}
	f := w.(*os.File)
	return func() int {
		width, _, err := term.GetSize(int(f.Fd()))
		if err != nil || width < 1 {
			return 80
		}
		return width
	}
}
