// Package progress shows how far the stages of a long job are: stage, done / total, rate, time left. On a terminal it
// rewrites one line in place; elsewhere it writes a plain line now and then, so that a log stays short.
package progress

import (
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"golang.org/x/term"
)

// Quiet is a writer on which nothing is shown.
var Quiet io.Writer = io.Discard

// How often a stage is shown at most.
const (
	terminalEvery = 200 * time.Millisecond
	plainEvery    = 15 * time.Second
)

// Progress shows stages on one writer. It is safe for concurrent use, and so are its stages. What the writer refuses is
// lost: a job does not fail because nobody can watch it.
type Progress struct {
	mu    sync.Mutex
	w     io.Writer
	now   func() time.Time
	width func() int // of the terminal, in columns; nil where the writer is none
	drawn int        // columns of the line in place
	shown time.Time  // when the line in place was written last
}

// New returns a Progress that writes to w, usually os.Stderr. On Quiet it does nothing.
func New(w io.Writer) *Progress {
	return &Progress{w: w, now: time.Now, width: terminalWidth(w)}
}

// Stage begins a stage of total units of work; total < 1 means that their number is not known.
func (p *Progress) Stage(name string, total int) *Stage {
	p.mu.Lock()
	defer p.mu.Unlock()
	s := &Stage{p: p, name: name, total: total, began: p.now()}
	s.show(s.began)
	return s
}

// Print writes a line of its own, above the line that is rewritten in place.
func (p *Progress) Print(line string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.erase()
	fmt.Fprintln(p.w, line)
}

// Stage is one part of a job. It ends with Done.
type Stage struct {
	p       *Progress
	name    string
	total   int
	done    int
	skipped int // units that were there when the stage began
	note    string
	began   time.Time
	shown   time.Time
	ended   bool
}

// Set says how many units are done since the beginning of the job, those of Skip included.
func (s *Stage) Set(done int) { s.update(func() { s.done = done }) }

// Skip says that n units were there already, from an earlier run: they count as done, but not in the rate.
func (s *Stage) Skip(n int) { s.update(func() { s.done, s.skipped = n, n }) }

// Note sets what stands at the end of the stage's line, for instance "loss 0.42".
func (s *Stage) Note(text string) { s.update(func() { s.note = text }) }

// Done ends the stage and writes its last line. Call it after a failure too, it says how far the stage got. Calling it
// twice is harmless.
func (s *Stage) Done() {
	s.p.mu.Lock()
	defer s.p.mu.Unlock()
	if s.ended {
		return
	}
	s.ended = true
	if s.p.w == Quiet {
		return
	}
	s.p.erase()
	fmt.Fprintln(s.p.w, s.line(s.p.now()))
}

func (s *Stage) update(change func()) {
	s.p.mu.Lock()
	defer s.p.mu.Unlock()
	if s.ended {
		return
	}
	change()
	now := s.p.now()
	if s.p.width != nil && now.Sub(s.p.shown) < terminalEvery || s.p.width == nil && now.Sub(s.shown) < plainEvery {
		return
	}
	s.show(now)
}

func (s *Stage) show(now time.Time) {
	if s.p.w == Quiet {
		return
	}
	s.shown = now
	if s.p.width != nil {
		s.p.rewrite(s.line(now), now)
		return
	}
	fmt.Fprintln(s.p.w, s.line(now))
}

// line is what is known of the stage.
func (s *Stage) line(now time.Time) string {
	parts := []string{s.name, grouped(s.done)}
	if s.total > 0 {
		parts[1] += "/" + grouped(s.total)
	}
	elapsed := now.Sub(s.began)
	if fresh := s.done - s.skipped; fresh > 0 && elapsed > 0 {
		parts = append(parts, rate(float64(fresh)/elapsed.Seconds()))
		if left := s.total - s.done; left > 0 && !s.ended {
			parts = append(parts, short(time.Duration(float64(elapsed)/float64(fresh)*float64(left)))+" left")
		}
	}
	if s.ended {
		parts = append(parts, "took "+short(elapsed))
	}
	if s.note != "" {
		parts = append(parts, s.note)
	}
	return strings.Join(parts, "  ")
}

// rewrite puts a line, cut to the terminal's width, in the place of the one before.
func (p *Progress) rewrite(line string, now time.Time) {
	if most := p.width() - 1; utf8.RuneCountInString(line) > most {
		line = string([]rune(line)[:max(most, 0)])
	}
	columns := utf8.RuneCountInString(line)
	fmt.Fprint(p.w, "\r", line, strings.Repeat(" ", max(p.drawn-columns, 0)))
	p.drawn, p.shown = columns, now
}

// erase clears the line in place.
func (p *Progress) erase() {
	if p.drawn == 0 {
		return
	}
	fmt.Fprint(p.w, "\r", strings.Repeat(" ", p.drawn), "\r")
	p.drawn, p.shown = 0, time.Time{}
}

// terminalWidth returns a function that asks for the width of the terminal behind w, or nil where there is none.
func terminalWidth(w io.Writer) func() int {
	f, ok := w.(*os.File)
	if !ok || !term.IsTerminal(int(f.Fd())) || os.Getenv("TERM") == "dumb" {
		return nil
	}
	return func() int {
		width, _, err := term.GetSize(int(f.Fd()))
		if err != nil || width < 1 {
			return 80
		}
		return width
	}
}

// grouped writes a number with a comma between thousands.
func grouped(n int) string {
	text := fmt.Sprint(n)
	for i := len(text) - 3; i > 0 && text[i-1] != '-'; i -= 3 {
		text = text[:i] + "," + text[i:]
	}
	return text
}

func rate(perSecond float64) string {
	switch {
	case perSecond >= 10:
		return grouped(int(perSecond+.5)) + "/s"
	case perSecond >= 1:
		return fmt.Sprintf("%.1f/s", perSecond)
	default:
		return fmt.Sprintf("%.3gs each", 1/perSecond)
	}
}

// short writes a time as 0.4s, 12s, 3m05s or 2h07m.
func short(d time.Duration) string {
	switch s := int(d.Round(time.Second).Seconds()); {
	case d < 10*time.Second:
		return fmt.Sprintf("%.1fs", d.Seconds())
	case s < 60:
		return fmt.Sprintf("%ds", s)
	case s < 3600:
		return fmt.Sprintf("%dm%02ds", s/60, s%60)
	default:
		return fmt.Sprintf("%dh%02dm", s/3600, s%3600/60)
	}
}
