package metrics

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/retort-ir/retort"
	"github.com/retort-ir/retort/distill"
)

func TestAProfileAddsUpTheSteps(t *testing.T) {
	var profile Profile
	var steps []retort.Step
	opts := distill.DefaultOptions()
	opts.Towers = distill.Both
	opts.Checkpoints.Dir = t.TempDir()
	opts.Selection.Interpolate = []float64{0.5}
	opts.Events = retort.Tee(profile.Events(), retort.Events{Step: func(s retort.Step) { steps = append(steps, s) }})
	result, err := training(t, t.Context(), "", opts)
	require.NoError(t, err)
	require.Equal(t, result.Steps, profile.Steps)
	var sum Profile
	for _, s := range steps {
		sum.addStep(s)
		require.LessOrEqual(t, s.Passages, s.Listed)
		require.LessOrEqual(t, s.Tokens, s.Padded)
		require.Equal(t, s.Padded, s.Recomputed, "no graph is kept")
	}
	require.Equal(t, sum.FirstPass, profile.FirstPass)
	require.Equal(t, sum.SecondPass, profile.SecondPass)
	require.Equal(t, sum.Queries, profile.Queries)
	require.Equal(t, sum.Listed, profile.Listed)
	require.Positive(t, profile.DistinctShare())
	require.Less(t, profile.DistinctShare(), 1.0, "lists of one topic share passages")
	require.Positive(t, profile.PaddingShare())

	phases := profile.Setup.Time + profile.Prepare.Time + profile.FirstPass.Time + profile.Loss.Time +
		profile.SecondPass.Time +
		profile.Backward.Time + profile.Optimizer.Time + profile.Evaluation.Time + profile.Checkpoint.Time
	require.LessOrEqual(t, phases, profile.Total)
	require.Positive(t, profile.Setup.Time)
	require.Positive(t, profile.Evaluation.Time)
	require.Positive(t, profile.Checkpoint.Time)
}

func TestAProfileIsATableOfItsPhases(t *testing.T) {
	p := Profile{
		Steps: 2, Queries: 8, Listed: 64, Passages: 16, Tokens: 900,
		FirstPass: Phase{time.Second, 1000}, Backward: Phase{2 * time.Second, 1000}, Total: 4 * time.Second,
	}
	var got []string
	for line := range strings.Lines(p.String()) {
		got = append(got, strings.Join(strings.Fields(line), " "))
	}
	require.Equal(t, []string{
		"phase seconds share tokens tokens/s",
		"setup 0.00 0.0%",
		"prepare 0.00 0.0%",
		"first pass 1.00 25.0% 1000 1000",
		"loss 0.00 0.0%",
		"second pass 0.00 0.0%",
		"backward 2.00 50.0% 1000 500",
		"optimizer 0.00 0.0%",
		"evaluation 0.00 0.0%",
		"checkpoint 0.00 0.0%",
		"other 1.00 25.0%",
		"total 4.00 100.0%",
		"2 steps, 8 queries, 64 passages in their lists, distinct 25.0%, padding 10.0% of the tokens",
	}, got)
	require.NotContains(t, (&Profile{}).String(), "NaN")
}
