package pipeline

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/retort-ir/retort"
	"github.com/retort-ir/retort/encoder"
	"github.com/retort-ir/retort/generate"
	"github.com/retort-ir/retort/internal/atomicfile"
	"github.com/retort-ir/retort/internal/counted"
	"github.com/retort-ir/retort/internal/regular"
	"github.com/retort-ir/retort/internal/strictjson"
	"github.com/retort-ir/retort/teacher"
)

// Costs are what queries and scores took: in one call of a command, or in all calls of a run together.
type Costs struct {
	Generate *GenerationCost         `json:"generate,omitempty"` // by a language model
	Score    map[string]*ScoringCost `json:"score,omitempty"`    // by teacher, of those that are more than arithmetic
}

// GenerationCost is what the queries of a language model took.
type GenerationCost struct {
	Kept         int                     `json:"kept"` // answers
	Dropped      map[generate.Reason]int `json:"dropped,omitempty"`
	Reused       int                     `json:"reused"`   // of an earlier call, paid for then
	Failed       int64                   `json:"failed"`   // passages that the model gave an error for
	Requests     int64                   `json:"requests"` // to a server, retries counted
	PromptTokens int64                   `json:"prompt_tokens"`
	Tokens       int64                   `json:"tokens"` // written
	Money        float64                 `json:"money"`  // as the server reports it, in its currency
	Seconds      float64                 `json:"seconds"`
}

// ScoringCost is what the scores of one teacher took.
type ScoringCost struct {
	Pairs   int64   `json:"pairs"`             // that were scored; pairs that the store held cost nothing
	Refused int     `json:"refused,omitempty"` // passages that a server would not score
	Seconds float64 `json:"seconds"`
}

func (c *Costs) add(other Costs) {
	if g := other.Generate; g != nil {
		if c.Generate == nil {
			c.Generate = &GenerationCost{}
		}
		c.Generate.add(g)
	}
	for name, s := range other.Score {
		if c.Score == nil {
			c.Score = map[string]*ScoringCost{}
		}
		if c.Score[name] == nil {
			c.Score[name] = &ScoringCost{}
		}
		c.Score[name].Pairs += s.Pairs
		c.Score[name].Refused += s.Refused
		c.Score[name].Seconds += s.Seconds
	}
}

func (g *GenerationCost) add(other *GenerationCost) {
	g.Kept += other.Kept
	if g.Dropped == nil {
		g.Dropped = map[generate.Reason]int{}
	}
	for reason, n := range other.Dropped {
		g.Dropped[reason] += n
	}
	g.Reused += other.Reused
	g.Failed += other.Failed
	g.Requests += other.Requests
	g.PromptTokens += other.PromptTokens
	g.Tokens += other.Tokens
	g.Money += other.Money
	g.Seconds += other.Seconds
}

// String says it in one line: "412 of 500 answers kept; dropped: copy of the passage 61, too long 27; 120,000 tokens read,
// 9,000 written, 48 s".
func (g *GenerationCost) String() string {
	dropped := 0
	for _, n := range g.Dropped {
		dropped += n
	}
	line := fmt.Sprintf("%s of %s answers kept", counted.Thousands(g.Kept), counted.Thousands(g.Kept+dropped))
	if dropped > 0 {
		line += "; dropped: " + counted.Join(g.Dropped)
	}
	if g.Failed > 0 {
		line += fmt.Sprintf("; %s passages failed", counted.Thousands(int(g.Failed)))
	}
	if g.Reused > 0 {
		line += fmt.Sprintf("; %s answers of earlier calls", counted.Thousands(g.Reused))
	}
	line += fmt.Sprintf("; %s tokens read, %s written, %.0f s", counted.Thousands(int(g.PromptTokens)), counted.Thousands(int(g.Tokens)), g.Seconds)
	if g.Money > 0 {
		line += fmt.Sprintf(", cost %.4g", g.Money)
	}
	return line
}

func (s *ScoringCost) String() string {
	line := fmt.Sprintf("%s pairs in %.0f s", counted.Thousands(int(s.Pairs)), s.Seconds)
	if s.Pairs > 0 {
		line += fmt.Sprintf(" (%.3g s a thousand)", s.Seconds/float64(s.Pairs)*1000)
	}
	if s.Refused > 0 {
		line += fmt.Sprintf("; passages that the server refused: %s",
			counted.Thousands(s.Refused))
	}
	return line
}

// Lines say all of it, a line each; none where nothing cost anything.
func (c Costs) Lines() []string {
	var lines []string
	if c.Generate != nil {
		lines = append(lines, "queries: "+c.Generate.String())
	}
	for _, name := range slices.Sorted(maps.Keys(c.Score)) {
		if c.Score[name].Pairs > 0 {
			lines = append(lines, fmt.Sprintf("scores of %s: %s", name, c.Score[name]))
		}
	}
	return lines
}

// readCosts returns those of the file, none where there is no file.
func readCosts(path string) (Costs, error) {
	var c Costs
	data, err := regular.ReadFile(path, regular.MaxText)
	if errors.Is(err, fs.ErrNotExist) {
		return c, nil
	}
	if err != nil {
		return c, err
	}
	if err := strictjson.Unmarshal(data, &c); err != nil {
		return c, fmt.Errorf("%s: %w; remove it to count from nothing", path, err)
	}
	return c, nil
}

func (c Costs) write(path string) error {
	return atomicfile.Write(path, func(w io.Writer) error {
		e := json.NewEncoder(w)
		e.SetIndent("", "  ")
		return e.Encode(c)
	})
}

// meter counts what a teacher scores, and how long it takes.
type meter struct {
	name    string
	teacher teacher.Teacher
	mu      sync.Mutex
	cost    ScoringCost
}

func (m *meter) total() *ScoringCost {
	m.mu.Lock()
	defer m.mu.Unlock()
	c := m.cost
	if server, ok := m.teacher.(interface{ Refused() int }); ok {
		c.Refused = server.Refused()
	}
	return &c
}

func (m *meter) count(pairs int, d time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.cost.Pairs += int64(pairs)
	m.cost.Seconds += d.Seconds()
}

func (m *meter) Fingerprint() string {
	if f, ok := m.teacher.(encoder.Fingerprinter); ok {
		return f.Fingerprint()
	}
	return ""
}

func (m *meter) Score(ctx context.Context, q retort.Query, passages []retort.Passage) ([]float64, error) {
	start := time.Now()
	scores, err := m.teacher.Score(ctx, q, passages)
	m.count(len(scores), time.Since(start))
	return scores, err
}

func (m *meter) BatchSize() int {
	if b, ok := m.teacher.(teacher.BatchTeacher); ok {
		return b.BatchSize()
	}
	return 1
}

func (m *meter) ScoreBatch(ctx context.Context, lists []teacher.Work) iter.Seq2[int, teacher.Scored] {
	b, ok := m.teacher.(teacher.BatchTeacher)
	return func(yield func(int, teacher.Scored) bool) {
		if !ok {
			for i, work := range lists {
				scores, err := m.Score(ctx, work.Query, work.Passages)
				if ctx.Err() != nil || !yield(i, teacher.Scored{Scores: scores, Err: err}) {
					return
				}
			}
			return
		}
		start := time.Now()
		for i, scored := range b.ScoreBatch(ctx, lists) {
			m.count(len(scored.Scores), time.Since(start))
			if !yield(i, scored) {
				return
			}
			start = time.Now() // what the caller does between is not the teacher's time
		}
	}
}
