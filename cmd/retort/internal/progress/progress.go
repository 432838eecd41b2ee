// Package progress shows how far the stages of a long job are: stage, done / total, rate, time left. On a terminal it
// rewrites one line in place; elsewhere it writes a plain line a minute, so that a log stays short; or it writes JSON for
// programs.
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

// Quiet is a writer on which nothing is shown.
var Quiet io.Writer = io.Discard

// How often a stage is shown at most.
const (
	terminalEvery = 200 * time.Millisecond
	plainEvery    = time.Minute
	jsonEvery     = time.Second
	tickEvery     = time.Second
)

// Progress shows stages on one writer, and is itself a writer, for lines that stand above what is rewritten in place. It is
// safe for concurrent use, and so are its stages. What the writer refuses is lost: a job does not fail because nobody can
// watch it.
type Progress struct {
	mu    sync.Mutex
	w     io.Writer
	now   func() time.Time
	width func() int    // of the terminal, in columns; nil where the writer is none
	json  *json.Encoder // nil where people read
	drawn int           // columns of the line in place
	shown time.Time     // when the line in place was written last
	begun []byte        // of a line that Write has not seen the end of; for JSON
	last  *Stage        // that was shown in place last
	ticks bool          // show a stage again when time has passed, though nothing is done
}

// New returns a Progress that writes to w, usually os.Stderr; w itself where that is a Progress. On Quiet it does nothing.
func New(w io.Writer) *Progress {
	if p, ok := w.(*Progress); ok {
		return p
	}
	return &Progress{w: w, now: time.Now, width: terminalWidth(w), ticks: w != Quiet}
}

// NewJSON returns a Progress that writes an Event a line.
func NewJSON(w io.Writer) *Progress {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	return &Progress{w: w, now: time.Now, json: enc, ticks: true}
}

// Event is a line of JSON: how far a stage is, at its beginning, once a second, and at its end; or a message.
type Event struct {
	Type string `json:"type"` // "progress" or "message"

	Stage       string  `json:"stage,omitempty"`
	Done        int     `json:"done"`
	Total       int     `json:"total,omitempty"`        // 0: not known
	Rate        float64 `json:"rate,omitempty"`         // units a second
	SecondsLeft float64 `json:"seconds_left,omitempty"` // at this rate
	Seconds     float64 `json:"seconds"`                // since the stage began
	Ended       bool    `json:"ended,omitempty"`
	Note        string  `json:"note,omitempty"` // such as "loss 0.42"
}

// message is a line of text as JSON.
type message struct {
	Type string `json:"type"` // "message"
	Text string `json:"text"`
}

// Stage begins a stage of total units of work; total < 1 means that their number is not known.
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

// Print writes a line of its own, above the line that is rewritten in place.
func (p *Progress) Print(line string) { fmt.Fprintln(p, line) }

// Write writes text above the line that is rewritten in place. It never fails.
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

// Close shows no stage any more. What is drawn of an unfinished one it leaves on a line of its own, so that others can
// write to the terminal.
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
	timer   *time.Timer
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

// tick shows that the stage is still at work. In place it does not write over another stage.
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

// speed returns the units a second and the time left, which are 0 where they are not known.
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

// line is what is known of the stage.
func (s *Stage) line(now time.Time) string {
	parts := []string{s.name}
	switch {
	case s.total > 0:
		parts = append(parts, grouped(s.done)+"/"+grouped(s.total))
	case s.done > 0:
		parts = append(parts, grouped(s.done))
	case !s.ended && now.Sub(s.began) >= time.Second:
		parts = append(parts, short(now.Sub(s.began))) // all that can be told
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
