// Package progress shows the stages of a long job: done / total, rate, time left. On a terminal it redraws one line. In
// a file or pipe it writes one line a minute, so that a log stays short. For programs it writes JSON.
package progress

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"strings"
	"sync"
	"time"
	"unicode/utf8"
)

// Quiet is a writer that makes a Progress show nothing.
var Quiet io.Writer = io.Discard

// The minimum times between two displays of a stage.
const (
	terminalEvery = 200 * time.Millisecond
	plainEvery    = time.Minute
	jsonEvery     = time.Second
	tickEvery     = time.Second
)

// Progress shows stages on a writer. It is also a writer, for lines above the redrawn line. A Progress and its stages
// are safe for concurrent use. Progress ignores write errors, because a job must not fail for lack of a display.
type Progress struct {
	mu    sync.Mutex
	w     io.Writer
	now   func() time.Time
	width func() int    // columns of the terminal; nil for another writer
	json  *json.Encoder // nil for plain text
	drawn int           // columns of the redrawn line
	shown time.Time     // last drawing of the line
	begun []byte        // start of an incomplete line; for JSON
	last  *Stage        // last drawn stage
	ticks bool          // redraw a stage without progress from time to time
}

// New returns a Progress that writes to w, usually os.Stderr. If w is a Progress, New returns w.
func New(w io.Writer) *Progress {
	if p, ok := w.(*Progress); ok {
		return p
	}
	return &Progress{w: w, now: time.Now, width: terminalWidth(w), ticks: w != Quiet}
}

// NewJSON returns a Progress that writes one Event per line.
func NewJSON(w io.Writer) *Progress {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	return &Progress{w: w, now: time.Now, json: enc, ticks: true}
}

// Event is a line of JSON: the progress of a stage when it starts, once a second, and when it ends.
type Event struct {
	Type string `json:"type"` // "progress" or "message"

	Stage       string  `json:"stage,omitempty"`
	Done        int     `json:"done"`
	Total       int     `json:"total,omitempty"`        // 0: unknown
	Rate        float64 `json:"rate,omitempty"`         // units per second
	SecondsLeft float64 `json:"seconds_left,omitempty"` // at this rate
	Seconds     float64 `json:"seconds"`                // since the start of the stage
	Ended       bool    `json:"ended,omitempty"`
	Note        string  `json:"note,omitempty"` // such as "loss 0.42"
}

// message is a line of text as JSON.
type message struct {
	Type string `json:"type"` // "message"
	Text string `json:"text"`
}

// Stage starts a stage of total units of work; total < 1 means an unknown number.
func (p *Progress) Stage(name string, total int) *Stage {
	p.mu.Lock()
	defer p.mu.Unlock()
	s := &Stage{p: p, name: name, total: total, began: p.now()}
	s.show(s.began)
	if p.ticks {
		s.timer = time.AfterFunc(tickEvery, s.tick)
	}
	return s
}

// Print writes a line above the redrawn line.
func (p *Progress) Print(line string) { fmt.Fprintln(p, line) }

// Write writes text above the redrawn line. It never fails.
func (p *Progress) Write(text []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.json != nil {
		p.writeMessages(text)
		return len(text), nil
	}
	p.erase()
	p.w.Write(text)
	return len(text), nil
}

func (p *Progress) writeMessages(text []byte) {
	p.begun = append(p.begun, text...)
	for {
		line, rest, ok := bytes.Cut(p.begun, []byte("\n"))
		if !ok {
			return
		}
		p.begun = rest
		if line = bytes.TrimSpace(line); len(line) > 0 {
			p.json.Encode(message{"message", string(line)})
		}
	}
}

// Close stops the display. It ends the line of an unfinished stage, so that other text can follow.
func (p *Progress) Close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.ticks = false
	if len(p.begun) > 0 {
		p.writeMessages([]byte("\n"))
	}
	if p.drawn > 0 {
		fmt.Fprintln(p.w)
		p.drawn = 0
	}
}

// Stage is a part of a job. Done ends it.
type Stage struct {
	p       *Progress
	name    string
	total   int
	done    int
	skipped int // units done before the stage started
	note    string
	began   time.Time
	shown   time.Time
	ended   bool
	timer   *time.Timer
}

// Set sets the number of done units, including skipped units.
func (s *Stage) Set(done int) { s.update(func() { s.done = done }) }

// Skip sets the number of units that an earlier call has done. They count as done, but not in the rate.
func (s *Stage) Skip(n int) { s.update(func() { s.done, s.skipped = n, n }) }

// Note sets the end of the stage's line, for example "loss 0.42".
func (s *Stage) Note(text string) { s.update(func() { s.note = text }) }

// Done ends the stage and writes its last line. Call it after a failure too, so that the line shows the progress. A
// second call does nothing.
func (s *Stage) Done() {
	s.p.mu.Lock()
	defer s.p.mu.Unlock()
	if s.ended {
		return
	}
	s.ended = true
	if s.timer != nil {
		s.timer.Stop()
	}
	if s.p.w == Quiet {
		return
	}
	if s.p.json != nil {
		s.p.json.Encode(s.event(s.p.now()))
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
	s.showIfDue()
}

// tick redraws a stage without progress, unless the line shows another stage.
func (s *Stage) tick() {
	s.p.mu.Lock()
	defer s.p.mu.Unlock()
	if s.ended || !s.p.ticks {
		return
	}
	if s.p.width == nil || s.p.last == s {
		s.showIfDue()
	}
	s.timer.Reset(tickEvery)
}

func (s *Stage) showIfDue() {
	now, last, every := s.p.now(), s.shown, plainEvery
	switch {
	case s.p.json != nil:
		every = jsonEvery
	case s.p.width != nil:
		last, every = s.p.shown, terminalEvery
	}
	if now.Sub(last) >= every {
		s.show(now)
	}
}

func (s *Stage) show(now time.Time) {
	if s.p.w == Quiet {
		return
	}
	s.shown = now
	switch {
	case s.p.json != nil:
		s.p.json.Encode(s.event(now))
	case s.p.width != nil:
		s.p.last = s
		s.p.rewrite(s.line(now), now)
	default:
		fmt.Fprintln(s.p.w, s.line(now))
	}
}

// speed returns the units per second and the time left, 0 if unknown.
func (s *Stage) speed(now time.Time) (perSecond float64, left time.Duration) {
	elapsed := now.Sub(s.began)
	fresh := s.done - s.skipped
	if fresh <= 0 || elapsed <= 0 {
		return 0, 0
	}
	if units := s.total - s.done; units > 0 && !s.ended {
		left = time.Duration(float64(elapsed) / float64(fresh) * float64(units))
	}
	return float64(fresh) / elapsed.Seconds(), left
}

func (s *Stage) event(now time.Time) Event {
	e := Event{
		Type: "progress", Stage: s.name, Done: s.done, Total: max(s.total, 0), Seconds: tenths(now.Sub(s.began)),
		Ended: s.ended, Note: s.note,
	}
	perSecond, left := s.speed(now)
	e.Rate, e.SecondsLeft = math.Round(perSecond*1000)/1000, tenths(left)
	return e
}

func tenths(d time.Duration) float64 { return math.Round(d.Seconds()*10) / 10 }

func (s *Stage) line(now time.Time) string {
	parts := []string{s.name}
	switch {
	case s.total > 0:
		parts = append(parts, grouped(s.done)+"/"+grouped(s.total))
	case s.done > 0:
		parts = append(parts, grouped(s.done))
	case !s.ended && now.Sub(s.began) >= time.Second:
		parts = append(parts, short(now.Sub(s.began)))
	}
	if perSecond, left := s.speed(now); perSecond > 0 {
		parts = append(parts, rate(perSecond))
		if left > 0 {
			parts = append(parts, short(left)+" left")
		}
	}
	if s.ended {
		parts = append(parts, "took "+short(now.Sub(s.began)))
	}
	if s.note != "" {
		parts = append(parts, s.note)
	}
	return strings.Join(parts, "  ")
}

// rewrite replaces the redrawn line. It cuts the new line to the width of the terminal.
func (p *Progress) rewrite(line string, now time.Time) {
	if most := p.width() - 1; utf8.RuneCountInString(line) > most {
		line = string([]rune(line)[:max(most, 0)])
	}
	columns := utf8.RuneCountInString(line)
	fmt.Fprint(p.w, "\r", line, strings.Repeat(" ", max(p.drawn-columns, 0)))
	p.drawn, p.shown = columns, now
}

// erase clears the redrawn line.
func (p *Progress) erase() {
	if p.drawn == 0 {
		return
	}
	fmt.Fprint(p.w, "\r", strings.Repeat(" ", p.drawn), "\r")
	p.drawn, p.shown = 0, time.Time{}
}

// grouped formats 12345 as 12,345.
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

// short formats a time as 0.4s, 12s, 3m05s or 2h07m.
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
