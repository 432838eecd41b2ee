package main

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/retort-ir/retort"
	"github.com/retort-ir/retort/eval"
	"github.com/retort-ir/retort/teacher/crossencoder"
)

func TestScoresAreLearntWhereEveryListHasThem(t *testing.T) {
	scored := retort.List{IDs: []string{"a", "b"}, Scores: []float64{1, 2}}
	unscored := retort.List{IDs: []string{"a", "b"}}
	require.Equal(t, "scores", whatToLearn([]retort.List{scored, scored}, nil))
	require.Equal(t, "positives", whatToLearn([]retort.List{scored, unscored}, nil))
	require.Equal(t, "positives", whatToLearn([]retort.List{scored}, eval.Qrels{}), "judgements are worth more")
}

func TestTheTemperatureFollowsTheScaleOfTheScores(t *testing.T) {
	list := func(scale float64) crossencoder.Example {
		return crossencoder.Example{List: retort.List{Scores: []float64{0, scale, 0, scale}}}
	}
	for _, scale := range []float64{1e-3, 1, 40} {
		require.InEpsilon(t, scale/4, temperatureOf([]crossencoder.Example{list(scale)}), 1e-12)
	}
	require.InEpsilon(t, .5, temperatureOf([]crossencoder.Example{list(1), list(3)}), 1e-12)
}

// What temperatureOf says of thirty passages.
func TestAtTheChosenTemperatureTheFirstOfThirtyStandsOut(t *testing.T) {
	scores := make([]float64, 30)
	for i := range scores {
		scores[i] = math.Sqrt2 * math.Erfinv(2*(float64(i)+.5)/30-1) // quantiles of the normal distribution
	}
	e := crossencoder.Example{List: retort.List{Scores: scores}}
	temperature := temperatureOf([]crossencoder.Example{e})
	var sum float64
	for _, s := range scores {
		sum += math.Exp(s / temperature)
	}
	require.InDelta(t, .44, math.Exp(scores[29]/temperature)/sum, .005)
}
