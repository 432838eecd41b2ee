package encoder

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"

	"gonum.org/v1/gonum/blas/blas32"
)

// Role says what a text is to the model. It selects the prompt, the length limit and, in a model with two towers, the
// tower.
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
	// Encode returns one row a text, [len(texts) x d], row-major, owned by the caller. The rows are in the order of the
	// texts. No texts give zero rows. Inner products rank: rows are L2-normalised, but for those of a Normalizer that says
	// otherwise.
	Encode(ctx context.Context, role Role, texts []string) (blas32.General, error)
}

// Trainable is an Encoder whose weights can be trained. Except for Encode it belongs to one goroutine. Encode may run
// concurrently with anything but Step and LoadState.
type Trainable interface {
	Encoder
	// Prepare tokenises texts, each once, for many calls of Forward. It may leave a text until its tokens are first
	// asked for.
	Prepare(ctx context.Context, role Role, texts []string) (Inputs, error)
	// Forward computes the embeddings of the given rows of in, as one micro-batch. With keepGraph the pass can be
	// followed by Backward.
	Forward(ctx context.Context, in Inputs, rows []int, keepGraph bool) (Pass, error)
	// Step changes the weights by the gradients that Backward has added up, by AdamW (Loshchilov and Hutter 2019,
	// arXiv 1711.05101) with decoupled weight decay on every parameter, then zeroes the gradients. It returns their
	// global L2 norm before clipping. Where the norm is not finite nothing is changed but the gradients, which are
	// zeroed, and the error is ErrNonFinite. A pass that was open then must not be followed by Backward.
	Step(u Update) (gradNorm float64, err error)
	// SaveState writes all that training needs to go on: weights, moments, the count of steps, random state.
	SaveState(w io.Writer) error
	// LoadState brings back what SaveState wrote and zeroes the gradients. On an error the model is as it was.
	LoadState(r io.Reader) error
	// Save writes the model as a folder that can be deployed. The folder appears whole or not at all.
	Save(dir string) error
}

// Inputs are tokenised texts of one role. They are safe for concurrent use, while Forward reads them too.
type Inputs interface {
	Len() int
	// Tokens returns the number of tokens of text i, special tokens included, after the cut to the length limit.
	Tokens(i int) int
}

// Pass is one micro-batch through the model. Several may be open; they can be closed in any order.
type Pass interface {
	// Embeddings returns one L2-normalised row a text, valid until Close.
	Embeddings() blas32.General
	// Backward adds the gradient of the loss to the model's gradients, given its gradient with respect to the
	// embeddings [n x d], and frees the graph. It can be called once, and only after a Forward with keepGraph.
	Backward(grad blas32.General) error
	// Close frees the pass. Closing twice is harmless.
	Close() error
}

// Update holds the settings of one optimiser step.
type Update struct {
	LR          float64 // learning rate, >= 0
	WeightDecay float64 // decoupled: w -= LR * WeightDecay * w
	Beta1       float64 // of the first moment, in [0,1)
	Beta2       float64 // of the second moment, in [0,1)
	Eps         float64 // > 0
	ClipNorm    float64 // the gradients' global L2 norm is scaled down to this; 0 leaves it
}

// Validate names the first field that is out of its range.
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

// Splitter is implemented by a Trainable whose query tower can be trained alone. After SplitTowers the two roles have
// weights of their own, equal at first, and only the query's learn: passage vectors stay what they are, bit for bit.
// Splitting a model that has two towers is harmless.
type Splitter interface {
	SplitTowers() error
}

// Normalizer is implemented by an Encoder whose rows may have other lengths than 1, as those of a model that was
// trained to rank by dot product have.
type Normalizer interface {
	Normalized() bool
}

// TrainingChecker is implemented by a Trainable that not every model of its kind can be: CheckTraining says why.
type TrainingChecker interface {
	CheckTraining() error
}

// GradientZeroer is implemented by a Trainable that can drop the gradients that Backward has added up since the last Step.
// Those of another are dropped by saving and loading its state, which takes some seconds with a big model.
type GradientZeroer interface {
	ZeroGradients() error
}

// GraphSizer is implemented by a Trainable that knows how much memory a pass takes until Backward, so that trainers can
// keep as many passes as fit. Those of another are not kept: they are computed twice.
type GraphSizer interface {
	// GraphBytes estimates, rather too high than too low, the bytes that a Forward of the rows of in with keepGraph
	// holds until its Backward or Close. It depends on the model's shape and the texts' lengths only.
	GraphBytes(in Inputs, rows []int) int64
}

// Parametric is implemented by encoders that show their parameters, for gradient checks, interpolation and training by several
// workers.
type Parametric interface {
	// Parameters returns the trainable parameters in a fixed order.
	Parameters() []Parameter
}

// Parameter is one named weight of a model.
type Parameter struct {
	Name  string
	Shape []int
	// Value and Grad copy the weights and their gradients to the host, row-major. Grad is all zeros before a Backward.
	Value func() ([]float32, error)
	Grad  func() ([]float32, error)
	// Set copies weights, as many as Value returns, into the model.
	Set func([]float32) error
	// SetGrad puts other gradients, as many as Value returns, in the place of those that Backward has added up. It is nil
	// where the encoder cannot: then it cannot be trained by several workers.
	SetGrad func([]float32) error
}

// Fingerprinter is implemented by encoders and teachers whose output is worth caching. Two with equal fingerprints
// (weights, prompts, length limits, corpus) give equal output.
type Fingerprinter interface {
	Fingerprint() string
}

// Describer is implemented by a Trainable whose Save writes a model card. Describe says what the card of the next
// Save tells besides what the model itself knows.
type Describer interface {
	Describe(Card)
}

// ErrNonFinite says that a gradient's norm is NaN or infinite.
var ErrNonFinite = errors.New("gradient norm is not finite")
