package progress

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// clock stands still until it is moved.
type clock struct{ t time.Time }

func (c *clock) now() time.Time           { return c.t }
func (c *clock) forward(by time.Duration) { c.t = c.t.Add(by) }

func plain(w io.Writer) (*Progress, *clock) {
	c := &clock{time.Unix(1e9, 0)}
	return &Progress{w: w, now: c.now}, c
}

func TestPlainLinesAreTheFirstOneAMinuteAndTheLast(t *testing.T) {
	var out bytes.Buffer
	p, c := plain(&out)
	s := p.Stage("embed passages", 20700)
	for done := 100; done <= 20700; done += 100 {
		c.forward(time.Second)
		s.Set(done)
	}
	s.Done()
	s.Done()
	s.Set(1)
	require.Equal(t, `embed passages  0/20,700
embed passages  6,000/20,700  100/s  2m27s left
embed passages  12,000/20,700  100/s  1m27s left
embed passages  18,000/20,700  100/s  27s left
embed passages  20,700/20,700  100/s  took 3m27s
`, out.String())
}

func TestJSONIsAnEventASecondAndOneAtTheEnd(t *testing.T) {
	var out bytes.Buffer
	p := NewJSON(&out)
	c := &clock{time.Unix(1e9, 0)}
	p.now, p.ticks = c.now, false
	s := p.Stage("train", 40)
	s.Skip(10)
	for done := 11; done <= 30; done++ {
		c.forward(100 * time.Millisecond)
		s.Set(done)
	}
	fmt.Fprint(p, "first line\n\nsecond <")
	s.Note("loss 0.5")
	s.Done()
	p.Stage("count", 0).Done()
	p.Close()
	require.Equal(t, `{"type":"progress","stage":"train","done":0,"total":40,"seconds":0}
{"type":"progress","stage":"train","done":20,"total":40,"rate":10,"seconds_left":2,"seconds":1}
{"type":"progress","stage":"train","done":30,"total":40,"rate":10,"seconds_left":1,"seconds":2}
{"type":"message","text":"first line"}
{"type":"progress","stage":"train","done":30,"total":40,"rate":10,"seconds":2,"ended":true,"note":"loss 0.5"}
{"type":"progress","stage":"count","done":0,"seconds":0}
{"type":"progress","stage":"count","done":0,"seconds":0,"ended":true}
{"type":"message","text":"second <"}
`, out.String())
}

func TestWhatIsWrittenToAProgressStandsAboveTheLineInPlace(t *testing.T) {
	var out bytes.Buffer
	p, _ := plain(&out)
	p.width = func() int { return 40 }
	require.Same(t, p, New(p))
	p.Stage("train", 1000)
	n, err := fmt.Fprintln(p, "a warning")
	require.NoError(t, err)
	require.Equal(t, 10, n)
	p.Stage("evaluate", 10)
	p.Close()
	p.Close()
	out.WriteString("an error")
	require.Equal(t, []string{"a warning", "evaluate  0/10", "an error"}, screen(out.String()))
}

func TestTerminalRewritesOneLineFiveTimesASecond(t *testing.T) {
	var out bytes.Buffer
	p, c := plain(&out)
	p.width = func() int { return 40 }
	s := p.Stage("train", 1000)
	for done := 1; done <= 1000; done++ {
		c.forward(time.Millisecond)
		s.Set(done)
	}
	require.NotContains(t, out.String(), "\n")
	require.Equal(t, 1+5, strings.Count(out.String(), "\r"), "%q", out.String())
	s.Done()
	require.Equal(t, "train  1,000/1,000  1,000/s  took 1.0s", screen(out.String())[0])
}

func TestTerminalLineIsCutToTheWidthAndLeavesNothingBehind(t *testing.T) {
	var out bytes.Buffer
	p, c := plain(&out)
	p.width = func() int { return 20 }
	s := p.Stage("a stage with a very long name", 7)
	require.Equal(t, []string{"a stage with a very"}, screen(out.String()))
	c.forward(time.Second)
	p.width = func() int { return 12 }
	s.Set(3)
	require.Equal(t, []string{"a stage wit"}, screen(out.String()))
	p.Print("a line of its own")
	require.Equal(t, []string{"a line of its own", ""}, screen(out.String()))
	s.Done()
	require.Equal(t, []string{"a line of its own", "a stage with a very long name  3/7  3.0/s  took 1.0s", ""},
		screen(out.String()))
}

func TestWhatALineSays(t *testing.T) {
	for _, c := range []struct {
		name  string
		total int
		after time.Duration
		tell  func(*Stage)
		want  string
	}{
		{"nothing done", 9, time.Minute, func(*Stage) {}, "x  0/9  took 1m00s"},
		{"total not known", 0, 10 * time.Second, func(s *Stage) { s.Set(25) }, "x  25  2.5/s  took 10s"},
		{"slower than one a second", 10, 64 * time.Second, func(s *Stage) { s.Set(8) }, "x  8/10  8s each  took 1m04s"},
		{
			"what was there already has no rate", 2000, 10 * time.Second,
			func(s *Stage) { s.Skip(1500); s.Set(2000) }, "x  2,000/2,000  50/s  took 10s",
		},
		{"all was there already", 2000, time.Second, func(s *Stage) { s.Skip(2000) }, "x  2,000/2,000  took 1.0s"},
		{"a single unit of unknown size", 0, 12 * time.Second, func(*Stage) {}, "x  took 12s"},
		{"a note", 1, time.Hour + 125*time.Second, func(s *Stage) { s.Note("loss 0.42") }, "x  0/1  took 1h02m  loss 0.42"},
		{"more done than planned", 1, time.Second, func(s *Stage) { s.Set(1234567) }, "x  1,234,567/1  1,234,567/s  took 1.0s"},
		{"no time has passed", 2, 0, func(s *Stage) { s.Set(2) }, "x  2/2  took 0.0s"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var out bytes.Buffer
			p, clock := plain(&out)
			s := p.Stage("x", c.total)
			clock.forward(c.after)
			c.tell(s)
			out.Reset()
			s.Done()
			require.Equal(t, c.want+"\n", out.String())
		})
	}
}

func TestAStageThatStandsStillIsShownAgain(t *testing.T) {
	var out syncBuffer
	p := New(&out)
	p.width = func() int { return 80 }
	outer := p.Stage("train", 10)
	s := p.Stage("evaluate", 0)
	require.Eventually(t, func() bool { return strings.Contains(out.String(), "\revaluate  1.") }, 10*time.Second,
		10*time.Millisecond)
	require.Equal(t, 1, strings.Count(out.String(), "train"), "the line belongs to the later stage")
	s.Done()
	outer.Done()
	require.Regexp(t, `evaluate  took \d.*\n.*train  0/10  took \d`, out.String())
}

// syncBuffer can be read while it is written to.
type syncBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *syncBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *syncBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

func TestQuietWritesNothing(t *testing.T) {
	p := New(Quiet)
	require.Nil(t, p.width)
	s := p.Stage("x", 1)
	s.Set(1)
	s.Done()
}

func TestAWriterThatIsNoTerminalGetsPlainLines(t *testing.T) {
	require.Nil(t, New(&bytes.Buffer{}).width)
}

func TestAWriterThatFailsStopsNothing(t *testing.T) {
	p := New(broken{})
	s := p.Stage("x", 1)
	s.Set(1)
	s.Done()
	p.Print("y")
}

func TestConcurrentUse(t *testing.T) {
	var out bytes.Buffer
	p := New(&out)
	s := p.Stage("shared", 400)
	var wg sync.WaitGroup
	for range 4 {
		wg.Add(1)
		go func() {
			defer wg.Done()
			own := p.Stage("own", 100)
			defer own.Done()
			for i := range 100 {
				own.Set(i + 1)
				s.Set(400)
				s.Note("busy")
			}
		}()
	}
	wg.Wait()
	s.Done()
	require.Equal(t, 2*5, strings.Count(out.String(), "\n"))
}

type broken struct{}

func (broken) Write([]byte) (int, error) { return 0, errors.New("closed") }

// screen returns the lines that a terminal shows after the text.
func screen(text string) []string {
	var lines []string
	for _, line := range strings.Split(text, "\n") {
		var cells []rune
		at := 0
		for _, r := range line {
			if r == '\r' {
				at = 0
				continue
			}
			if at == len(cells) {
				cells = append(cells, r)
			}
			cells[at] = r
			at++
		}
		lines = append(lines, strings.TrimRight(string(cells), " "))
	}
	return lines
}
