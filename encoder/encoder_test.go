package encoder_test

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/retort-ir/retort/encoder"
)

func TestUpdateValidateNamesTheWrongField(t *testing.T) {
	good := encoder.Update{LR: 1e-4, WeightDecay: 0.01, Beta1: 0.9, Beta2: 0.999, Eps: 1e-8, ClipNorm: 1}
	require.NoError(t, good.Validate())
	for field, spoil := range map[string]func(*encoder.Update){
		"LR":          func(u *encoder.Update) { u.LR = -1 },
		"WeightDecay": func(u *encoder.Update) { u.WeightDecay = math.NaN() },
		"Beta1":       func(u *encoder.Update) { u.Beta1 = 1 },
		"Beta2":       func(u *encoder.Update) { u.Beta2 = -0.5 },
		"Eps":         func(u *encoder.Update) { u.Eps = 0 },
		"ClipNorm":    func(u *encoder.Update) { u.ClipNorm = math.Inf(1) },
	} {
		u := good
		spoil(&u)
		require.ErrorContains(t, u.Validate(), field)
	}
}
