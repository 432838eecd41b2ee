package metrics

import (
	"fmt"
	"strings"
	"time"

	"github.com/retort-ir/retort"
)

// Phase is a part of training in a Profile.
type Phase struct {
	Time time.Duration
	// Tokens is the number of tokens that the phase computed, padding included; 0 if it computes none.
	Tokens int64
}

// Profile is the time of each phase of a training run. Its Events fill it in; read it after training has returned. For
// a resumed run it covers only the time since the run was resumed.
type Profile struct {
	Steps, Queries int
	Listed         int   // passages in the lists; a passage in several lists counts once for each
	Passages       int   // distinct passages, summed over the steps
	Tokens         int64 // tokens of the texts, without padding
	GraphBudget    int64 // bytes available for graphs in a step

	Setup      Phase // reading the data, and encoding the passages for QueryOnly
	Prepare    Phase // waiting for the next step's texts
	FirstPass  Phase
	Loss       Phase
	SecondPass Phase // second forward pass where the graph was not kept
	Backward   Phase
	Exchange   Phase // communication with the other workers of a Group, waiting included
	Optimizer  Phase
	Evaluation Phase // evaluations, including interpolation
	Checkpoint Phase
	// Total is the time of the whole run, including time outside the phases.
	Total time.Duration
}

// Events returns the callbacks that fill in the profile.
func (p *Profile) Events() retort.Events {
	var start, interpolated time.Time
	return retort.Tee(retort.Events{
		Stage: func(s retort.Stage) {
			if start.IsZero() {
				start = time.Now()
			}
			if !interpolated.IsZero() {
				p.Evaluation.Time += time.Since(interpolated)
				interpolated = time.Time{}
			}
			switch s.Name {
			case retort.StageSetup:
				p.Setup.Time = time.Since(start)
			case retort.StageInterpolate:
				interpolated = time.Now()
			}
		},
		Step:       p.addStep,
		Evaluation: func(e retort.Evaluation) { p.Evaluation.Time += e.Took },
		Checkpoint: func(c retort.Checkpoint) { p.Checkpoint.Time += c.Took },
	}, atEach(func() { p.Total = time.Since(start) }))
}

// atEach returns events that call a function at each event that Profile adds up.
func atEach(what func()) retort.Events {
	return retort.Events{
		Stage:      func(retort.Stage) { what() },
		Step:       func(retort.Step) { what() },
		Evaluation: func(retort.Evaluation) { what() },
		Checkpoint: func(retort.Checkpoint) { what() },
	}
}

// DistinctShare is Passages / Listed; 0 if there was no step.
func (p *Profile) DistinctShare() float64 { return share(float64(p.Passages), float64(p.Listed)) }

// PaddingShare is the share of padding among the computed tokens, in [0,1).
func (p *Profile) PaddingShare() float64 {
	return share(float64(p.FirstPass.Tokens-p.Tokens), float64(p.FirstPass.Tokens))
}

func share(part, whole float64) float64 {
	if whole == 0 {
		return 0
	}
	return part / whole
}

func (p *Profile) addStep(s retort.Step) {
	p.Steps++
	p.GraphBudget = s.GraphBudget
	p.Queries += s.Queries
	p.Listed += s.Listed
	p.Passages += s.Passages
	p.Tokens += int64(s.Tokens)
	for _, part := range []struct {
		phase  *Phase
		time   time.Duration
		tokens int
	}{
		{&p.Prepare, s.Prepare, 0},
		{&p.FirstPass, s.Encode, s.Padded},
		{&p.Loss, s.Similarity, 0},
		{&p.SecondPass, s.Recompute, s.Recomputed},
		{&p.Backward, s.Backward, s.Padded},
		{&p.Exchange, s.Exchange, 0},
		{&p.Optimizer, s.Update, 0},
	} {
		part.phase.Time += part.time
		part.phase.Tokens += int64(part.tokens)
	}
}

// String returns a table of the phases with seconds, share of the total time and tokens per second.
func (p *Profile) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%-16s %10s %7s %12s %10s\n", "phase", "seconds", "share", "tokens", "tokens/s")
	other := p.Total
	line := func(name string, phase Phase) {
		seconds := phase.Time.Seconds()
		fmt.Fprintf(&b, "%-16s %10.2f %6.1f%%", name, seconds, 100*share(seconds, p.Total.Seconds()))
		if phase.Tokens > 0 {
			fmt.Fprintf(&b, " %12d %10.0f", phase.Tokens, share(float64(phase.Tokens), seconds))
		}
		b.WriteByte('\n')
	}
	for _, part := range []struct {
		name  string
		phase Phase
	}{
		{"setup", p.Setup},
		{"prepare", p.Prepare},
		{"first pass", p.FirstPass},
		{"loss", p.Loss},
		{"second pass", p.SecondPass},
		{"backward", p.Backward},
		{"exchange", p.Exchange},
		{"optimizer", p.Optimizer},
		{"evaluation", p.Evaluation},
		{"checkpoint", p.Checkpoint},
	} {
		if part.name == "exchange" && part.phase.Time == 0 { // there is one worker
			continue
		}
		line(part.name, part.phase)
		other -= part.phase.Time
	}
	line("other", Phase{Time: other})
	line("total", Phase{Time: p.Total})
	fmt.Fprintf(&b, "%d steps, %d queries, %d passages in their lists, distinct %.1f%%, padding %.1f%% of the tokens\n",
		p.Steps, p.Queries, p.Listed, 100*p.DistinctShare(), 100*p.PaddingShare())
	return b.String()
}
