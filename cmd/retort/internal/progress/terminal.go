package progress

import (
	"io"
	"os"

	"golang.org/x/term"
)

// IsTerminal says whether w is a terminal on which a line can be rewritten.
func IsTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd())) && os.Getenv("TERM") != "dumb"
}

// Colours says whether w is to be coloured: a terminal, and NO_COLOR (https://no-color.org) is not set.
func Colours(w io.Writer) bool { return IsTerminal(w) && os.Getenv("NO_COLOR") == "" }

// terminalWidth returns a function that asks for the width of the terminal behind w, or nil where there is none.
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
