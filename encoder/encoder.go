package encoder

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"

	"gonum.org/v1/gonum/blas/blas32"
)

// Role is the role of a text, query or passage. It selects the prompt, the length limit and, in a model with two
// towers, the tower.
type Role uint8

// The roles.
const (
	Query Role = iota
	Passage
)

func (r Role) String() string {
	if r == Query {
		return "query"
	}
	return "passage"
}

// Encoder turns texts into vectors. Implementations are safe for concurrent use.
type Encoder interface {
	// Dim returns the width d of the vectors.
	Dim() int
	// Encode returns one row per text, [len(texts) x d], row-major, in the order of the texts. The caller owns the
	// result. No texts give zero rows. Passages are ranked by inner product with the query; rows are L2-normalised
	// unless the Encoder is a Normalizer whose Normalized method returns false.
	Encode(ctx context.Context, role Role, texts []string) (blas32.General, error)
}

// Trainable is an Encoder whose weights can be trained. Its methods except Encode must be called from one goroutine at
// a time. Encode may run concurrently with every method except Step and LoadState.
type Trainable interface {
	Encoder
	// Prepare tokenises each text once, for many calls of Forward. It may tokenise a text lazily.
	Prepare(ctx context.Context, role Role, texts []string) (Inputs, error)
	// Forward computes the embeddings of the given rows of in as one micro-batch. Backward can be called on the pass
	// only if keepGraph is true.
	Forward(ctx context.Context, in Inputs, rows []int, keepGraph bool) (Pass, error)
	// Step updates the weights with the gradients that Backward has accumulated, by AdamW (Loshchilov and Hutter 2019,
	// arXiv 1711.05101) with decoupled weight decay on every parameter, and zeroes the gradients. It returns the global
	// L2 norm of the gradients before clipping. If the norm is not finite, Step zeroes the gradients, changes nothing
	// else and returns ErrNonFinite. Backward must not be called on a pass that was open during Step.
	Step(u Update) (gradNorm float64, err error)
	// SaveState writes the state that training needs to resume: weights, moments, step count and random state.
	SaveState(w io.Writer) error
	// LoadState restores a state that SaveState wrote, and zeroes the gradients. On an error the model is unchanged.
	LoadState(r io.Reader) error
	// Save writes the model to a folder for deployment. It creates the folder atomically.
	Save(dir string) error
}

// Inputs are tokenised texts of one role. They are safe for concurrent use, also during Forward.
type Inputs interface {
	Len() int
	// Tokens returns the number of tokens of text i after truncation to the length limit, special tokens included.
	Tokens(i int) int
}

// Pass is the forward pass of one micro-batch. Several passes may be open at once, and they may be closed in any order.
type Pass interface {
	// Embeddings returns one L2-normalised row per text, [n x d], row-major, valid until Close.
	Embeddings() blas32.General
	// Backward takes the gradient of the loss with respect to the embeddings [n x d], adds the gradients of the weights
	// to the model's gradients, and frees the graph. It can be called once, and only if Forward was called with
	// keepGraph.
	Backward(grad blas32.General) error
	// Close frees the pass. A second Close does nothing.
	Close() error
}

// Update holds the settings of one optimiser step.
type Update struct {
	LR          float64 // learning rate, >= 0
	WeightDecay float64 // decoupled: w -= LR * WeightDecay * w
	Beta1       float64 // decay of the first moment, in [0,1)
	Beta2       float64 // decay of the second moment, in [0,1)
	Eps         float64 // > 0
	ClipNorm    float64 // largest global L2 norm of the gradients, larger ones are scaled down; 0: no limit
}

// Validate returns an error that names the first field out of range.
func (u Update) Validate() error {
	for _, f := range []struct {
		name  string
		value float64
		ok    bool
		want  string
	}{
		{"LR", u.LR, u.LR >= 0, "at least 0"},
		{"WeightDecay", u.WeightDecay, u.WeightDecay >= 0, "at least 0"},
		{"Beta1", u.Beta1, u.Beta1 >= 0 && u.Beta1 < 1, "in [0,1)"},
		{"Beta2", u.Beta2, u.Beta2 >= 0 && u.Beta2 < 1, "in [0,1)"},
		{"Eps", u.Eps, u.Eps > 0, "above 0"},
		{"ClipNorm", u.ClipNorm, u.ClipNorm >= 0, "at least 0"},
	} {
		if !f.ok || math.IsInf(f.value, 0) {
			return fmt.Errorf("update: %s is %v, want %s", f.name, f.value, f.want)
		}
	}
	return nil
}

// Splitter is implemented by a Trainable whose query tower can be trained alone. SplitTowers gives each role its own
// copy of the weights. After it only the query tower learns, and passage vectors do not change by a single bit. On a
// model that has two towers already, SplitTowers only stops the training of the passage tower.
type Splitter interface {
	SplitTowers() error
}

// Normalizer is implemented by an Encoder whose rows may have an L2 norm other than 1, such as a model trained to rank
// by dot product. Normalized reports whether all rows have norm 1.
type Normalizer interface {
	Normalized() bool
}

// TrainingChecker is implemented by a Trainable that cannot train every model that it can open. CheckTraining returns
// an error with the reason.
type TrainingChecker interface {
	CheckTraining() error
}

// GradientZeroer is implemented by a Trainable that can zero the gradients that Backward has accumulated since the last
// Step. For other models the trainer saves and loads the state, which is slow for a large model.
type GradientZeroer interface {
	ZeroGradients() error
}

// GraphSizer is implemented by a Trainable that can estimate the memory of a pass until Backward, so that a trainer can
// keep as many passes as fit. Without it the trainer computes each pass twice.
type GraphSizer interface {
	// GraphBytes returns an upper estimate of the bytes that a Forward of the given rows of in with keepGraph holds
	// until Backward or Close. The estimate depends only on the model's shape and the lengths of the texts.
	GraphBytes(in Inputs, rows []int) int64
}

// Parametric is implemented by encoders that expose their parameters, for gradient checks, interpolation and training
// by several workers.
type Parametric interface {
	// Parameters returns the trainable parameters in a fixed order.
	Parameters() []Parameter
}

// Parameter is one named weight of a model.
type Parameter struct {
	Name  string
	Shape []int
	// Value and Grad copy the weights and their gradients to the host, row-major. Grad returns zeros before the first
	// Backward.
	Value func() ([]float32, error)
	Grad  func() ([]float32, error)
	// Set copies weights, as many as Value returns, into the model.
	Set func([]float32) error
	// SetGrad replaces the accumulated gradients; it takes as many values as Value returns. It is nil if the encoder
	// does not support it; such an encoder cannot be trained by several workers.
	SetGrad func([]float32) error
}

// Fingerprinter is implemented by encoders and teachers whose output can be cached. Equal fingerprints (of weights,
// prompts, length limits, corpus) mean equal output.
type Fingerprinter interface {
	Fingerprint() string
}

// Describer is implemented by a Trainable whose Save writes a model card. Describe sets the content of the card that
// the next Save writes, besides what the model itself knows.
type Describer interface {
	Describe(Card)
}

// ErrNonFinite is returned by Step if the norm of the gradients is NaN or infinite.
var ErrNonFinite = errors.New("gradient norm is not finite")
