//go:build libtorch

package distill

import (
	"context"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/retort-ir/retort/encoder/transformer"
	"github.com/retort-ir/retort/loss"
)

func openTiny(t *testing.T) *transformer.Model {
	t.Helper()
	m, err := transformer.Open(context.Background(), filepath.Join("..", "encoder", "transformer", "testdata", "tiny"),
		transformer.Options{Threads: 1})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, m.Close()) })
	return m
}

// Workers with a tiny BERT each end in the weights of one, to 1e-5, and have the gradient of one batch. The bias of
// attention's keys is left out: it changes no vector, so its gradient is rounding, of which AdamW follows the sign.
func TestAGroupOfBERTsTrainsLikeOne(t *testing.T) {
	ctx := context.Background()
	corpus, lists := world(t)
	for _, towers := range []Towers{Both, QueryOnly} {
		t.Run(towers.String(), func(t *testing.T) {
			opts := quick()
			opts.Towers, opts.Schedule.LR, opts.Memory.GraphBudget, opts.CountDuplicates = towers, 1e-3, 1<<20, true
			opts.Loss = loss.Sum{
				{Weight: 1, Loss: loss.ListwiseKL{}},
				{Weight: 0.5, Loss: loss.InfoNCE{Temperature: 0.1, MaskRatio: 0.6}},
			}
			alone := openTiny(t)
			want, err := Train(ctx, alone, corpus, lists, opts)
			require.NoError(t, err)
			for n := 2; n <= 3; n++ {
				models := make([]*transformer.Model, n)
				for r := range models {
					models[r] = openTiny(t)
				}
				results, checks := make([]*Result, n), make([]*GradientCheck, n)
				noErrors(t, asGroup(n, func(rank int, g Group) (err error) {
					o := opts
					o.Group = g
					if checks[rank], err = CheckGradient(ctx, models[rank], corpus, lists[:6], o); err != nil {
						return err
					}
					results[rank], err = Train(ctx, models[rank], corpus, lists, o)
					return err
				}))
				require.Less(t, checks[0].Plain, 1e-5)
				require.Less(t, checks[0].Parameter, 1e-4, checks[0].Worst)
				requireSameResult(t, want, results[0], 1e-5)
				one, first := weightsOf(t, alone), weightsOf(t, models[0])
				for i, p := range alone.Parameters() {
					if !strings.HasSuffix(p.Name, "attention.self.key.bias") {
						require.Less(t, first[i:i+1].minus(one[i:i+1]).norm()/one[i:i+1].norm(), 1e-5, "%d workers: %s", n, p.Name)
					}
				}
				for r := range models {
					require.Equal(t, results[0], results[r])
					require.Equal(t, first, weightsOf(t, models[r]), "worker %d", r)
				}
			}
		})
	}
}
