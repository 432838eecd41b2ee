package distill

import (
	"context"
	"errors"
	"fmt"

	"github.com/retort-ir/retort"
	"github.com/retort-ir/retort/encoder"
)

// Weights are the values of a model's parameters, in the order of encoder.Parametric.Parameters.
type Weights [][]float32

// ReadWeights copies the weights of a model, which must implement encoder.Parametric.
func ReadWeights(model encoder.Encoder) (Weights, error) {
	params, err := parameters(model)
	if err != nil {
		return nil, err
	}
	weights := make(Weights, len(params))
	for i, p := range params {
		if weights[i], err = p.Value(); err != nil {
			return nil, fmt.Errorf("distill: parameter %s: %w", p.Name, err)
		}
	}
	return weights, nil
}

// SetInterpolated sets the model's weights to a + alpha (b - a), exactly a for alpha = 0 and exactly b for alpha = 1.
// Interpolation of fine-tuned with initial weights reduces forgetting (Wortsman et al. 2022, WiSE-FT, arXiv
// 2109.01903).
func SetInterpolated(model encoder.Encoder, a, b Weights, alpha float64) error {
	params, err := parameters(model)
	if err != nil {
		return err
	}
	if len(a) != len(params) || len(b) != len(params) {
		return fmt.Errorf("distill: got weights of %d and %d parameters for a model with %d parameters", len(a), len(b),
			len(params))
	}
	for i, p := range params {
		if len(a[i]) != len(b[i]) {
			return fmt.Errorf("distill: parameter %s: got %d and %d weights, want equal numbers", p.Name, len(a[i]), len(b[i]))
		}
		mixed := make([]float32, len(a[i]))
		for j, x := range a[i] {
			mixed[j] = mix(x, b[i][j], alpha)
		}
		if err := p.Set(mixed); err != nil {
			return fmt.Errorf("distill: parameter %s: %w", p.Name, err)
		}
	}
	return nil
}

// mix returns a and b exactly for alpha 0 and 1.
func mix(a, b float32, alpha float64) float32 {
	switch alpha {
	case 0:
		return a
	case 1:
		return b
	}
	return float32(float64(a) + alpha*(float64(b)-float64(a)))
}

func parameters(model encoder.Encoder) ([]encoder.Parameter, error) {
	p, ok := model.(encoder.Parametric)
	if !ok {
		return nil, fmt.Errorf("distill: %T does not implement encoder.Parametric", model)
	}
	return p.Parameters(), nil
}

// readStart copies the initial weights if Interpolate or DrawBack needs them.
func (t *trainer) readStart() (err error) {
	if len(t.opts.Selection.Interpolate) > 0 || t.opts.Retention.Evaluate != nil && len(t.opts.Retention.DrawBack) > 0 {
		t.start, err = ReadWeights(t.student)
	}
	return err
}

// interpolate evaluates the candidates and gives the student the best weights; after an error, the best weights of
// training.
func (t *trainer) interpolate(ctx context.Context, result *Result) (err error) {
	best, err := ReadWeights(t.student)
	if err != nil {
		return err
	}
	defer func() {
		alpha := result.Alpha
		if err != nil {
			alpha = 1
		}
		err = errors.Join(err, SetInterpolated(t.student, t.start, best, alpha))
	}()
	for i, alpha := range t.opts.Selection.Interpolate {
		t.events.Stage(retort.Stage{Name: retort.StageInterpolate, Done: i, Total: len(t.opts.Selection.Interpolate)})
		if err := SetInterpolated(t.student, t.start, best, alpha); err != nil {
			return err
		}
		score, err := t.score(ctx)
		if err != nil {
			return fmt.Errorf("distill: interpolation %v: %w", alpha, err)
		}
		if score <= result.AlphaScore {
			continue
		}
		retains, err := t.retains(ctx)
		if err != nil {
			return fmt.Errorf("distill: interpolation %v: %w", alpha, err)
		}
		if retains {
			result.Alpha, result.AlphaScore = alpha, score
		}
	}
	return nil
}
