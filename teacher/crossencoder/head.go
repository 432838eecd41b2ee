package crossencoder

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"

	"github.com/retort-ir/retort/internal/encodernet"
	"github.com/retort-ir/retort/internal/jsonfile"
	"github.com/retort-ir/retort/internal/torch"
)

// head is a classification head: out(norm(activation(dense(x)))) of a pair's vector x, the first token's hidden
// state or the mean of all tokens'.
type head struct {
	dense, norm, out string // names of the weights, without ".weight" and ".bias"; norm "": there is none
	activation       string // one of headActivations
	mean             bool   // x is the mean
	unbiased         bool   // dense has no bias
	inModel          bool   // the name of dense follows the network's prefix, as BERT's pooler does
}

var (
	poolerHead  = head{dense: "pooler.dense", out: "classifier", activation: "tanh", inModel: true}
	robertaHead = head{dense: "classifier.dense", out: "classifier.out_proj", activation: "tanh"}

	heads = map[string]head{ // by model_type
		"bert": poolerHead, "gte": poolerHead, "new": poolerHead, "nomic_bert": poolerHead,
		"roberta": robertaHead, "xlm-roberta": robertaHead, "camembert": robertaHead, "mpnet": robertaHead,
		"distilbert": {dense: "pre_classifier", out: "classifier", activation: "relu"},
		"modernbert": {dense: "head.dense", norm: "head.norm", out: "classifier", activation: "gelu"},
	}
)

var headActivations = []string{"gelu", "relu", "silu", "tanh"}

// readHeadConfig finds the head of the model whose config.json is path.
func readHeadConfig(path string, c encodernet.Config) (head, error) {
	h, ok := heads[c.ModelType]
	if !ok {
		return h, fmt.Errorf("%s: model_type is %q; cross-encoders of %s are supported", path, c.ModelType,
			strings.Join(slices.Sorted(maps.Keys(heads)), ", "))
	}
	if h.inModel {
		h.dense = c.Family().Prefix + h.dense
	}
	if c.ModelType != "modernbert" {
		return h, nil
	}
	var j struct {
		Pooling    *string `json:"classifier_pooling"`
		Activation *string `json:"classifier_activation"`
		Bias       bool    `json:"classifier_bias"`
	}
	if err := jsonfile.Read(path, &j); err != nil {
		return h, err
	}
	h.unbiased = !j.Bias
	if j.Activation != nil {
		h.activation = *j.Activation
	}
	if !slices.Contains(headActivations, h.activation) {
		return h, fmt.Errorf("%s: classifier_activation is %q; %s are supported", path, h.activation,
			strings.Join(headActivations, ", "))
	}
	if j.Pooling != nil {
		if h.mean = *j.Pooling == "mean"; !h.mean && *j.Pooling != "cls" {
			return h, fmt.Errorf("%s: classifier_pooling is %q; cls and mean are supported", path, *j.Pooling)
		}
	}
	return h, nil
}

// architecture is the class in transformers of the cross-encoder.
func (f *folder) architecture() string {
	return strings.TrimSuffix(f.config.Family().Architecture, "Model") + "ForSequenceClassification"
}

// headShapes lists the head's weights by their whole names, in the order dense, norm, out.
func (f *folder) headShapes(labels int) []encodernet.Shape {
	width := f.config.HiddenSize
	shapes := []encodernet.Shape{{Name: f.head.dense + ".weight", Dims: []int{width, width}}}
	if !f.head.unbiased {
		shapes = append(shapes, encodernet.Shape{Name: f.head.dense + ".bias", Dims: []int{width}})
	}
	if f.head.norm != "" {
		shapes = append(shapes, encodernet.Shape{Name: f.head.norm + ".weight", Dims: []int{width}})
		if f.config.Norm == encodernet.LayerNorm {
			shapes = append(shapes, encodernet.Shape{Name: f.head.norm + ".bias", Dims: []int{width}})
		}
	}
	return append(shapes,
		encodernet.Shape{Name: f.head.out + ".weight", Dims: []int{labels, width}},
		encodernet.Shape{Name: f.head.out + ".bias", Dims: []int{labels}})
}

// initialDeviation is the standard deviation of BERT's weights before its training.
const initialDeviation = 0.02

// readHead returns a weight of the head. Two labels become one: their difference.
func (f *folder) readHead(w *encodernet.Weights, name string, shape []int, fresh *rand.Rand) ([]float32, error) {
	isOut := strings.HasPrefix(name, f.head.out+".")
	switch {
	case isOut && f.labels == 2:
		stored := append([]int{2}, shape[1:]...)
		both, err := w.ReadStored(name, stored)
		if err != nil {
			return nil, err
		}
		difference := both[len(both)/2:]
		for i := range difference {
			difference[i] -= both[i]
		}
		return difference, nil
	case f.labels > 0:
		return w.ReadStored(name, shape)
	}
	stored := name
	if f.head.inModel { // a model without a classification head may have a pooler
		stored = w.Prefix + strings.TrimPrefix(name, f.config.Family().Prefix)
	}
	if !isOut && w.File.DType(stored) != "" {
		return w.ReadStored(stored, shape)
	}
	values := make([]float32, (&encodernet.Parameter{Shape: shape}).Size())
	switch {
	case name == f.head.norm+".weight":
		for i := range values {
			values[i] = 1
		}
	case strings.HasSuffix(name, ".weight"):
		for i := range values {
			values[i] = float32(initialDeviation * fresh.NormFloat64())
		}
	}
	return values, nil
}

// logits returns the logits of a micro-batch, [b.Rows x 1]. The head is computed in float32.
func (n *network) logits(s *torch.Scope, b encodernet.Batch) torch.Tensor {
	x := n.pooled(s, b)
	return s.Sub(func(s *torch.Scope) torch.Tensor {
		weight := func(name string) torch.Tensor {
			if p := n.headParams[name]; p != nil {
				return p.Value
			}
			return nil
		}
		linear := func(x torch.Tensor, name string) torch.Tensor {
			return s.Linear(x, weight(name+".weight"), weight(name+".bias"))
		}
		x := n.activate(s, linear(x, n.head.dense))
		if n.head.norm != "" {
			c := n.body.Config
			x = s.LayerNorm(x, weight(n.head.norm+".weight"), weight(n.head.norm+".bias"), int64(c.HiddenSize), c.LayerNormEps)
		}
		return linear(x, n.head.out)
	})
}

// pooled returns the pairs' vectors, [b.Rows x hidden size].
func (n *network) pooled(s *torch.Scope, b encodernet.Batch) torch.Tensor {
	if !n.head.mean {
		return n.body.FirstHidden(s, b, n.precision)
	}
	return s.Sub(func(s *torch.Scope) torch.Tensor {
		weights := make([]float32, b.Rows*b.Width)
		for i, length := range b.Lengths {
			for j := range length {
				weights[i*b.Width+j] = 1 / float32(length)
			}
		}
		x := n.body.Hidden(s, b, n.precision)
		return s.SumDim(s.Mul(x, s.FromFloats(weights, int64(b.Rows), int64(b.Width), 1)), 1)
	})
}

func (n *network) activate(s *torch.Scope, x torch.Tensor) torch.Tensor {
	switch n.head.activation {
	case "relu":
		return s.Relu(x)
	case "gelu":
		return s.Gelu(x)
	case "silu":
		return s.Silu(x)
	default: // readHeadConfig accepts no other than "tanh"
		return s.Tanh(x)
	}
}
