package encodernet

import (
	"fmt"
	"slices"
	"strings"

	"github.com/retort-ir/retort/internal/jsonfile"
	"github.com/retort-ir/retort/internal/modelfolder"
)

// The files of a Hugging Face folder that hold a network.
const (
	ConfigFile  = "config.json"
	WeightsFile = "model.safetensors"
)

// Config is the shape of a BERT network (Devlin et al. 2019, arXiv 1810.04805).
type Config struct {
	HiddenSize       int     // the width of an embedding
	Layers           int     //
	Heads            int     // of attention; they divide HiddenSize
	IntermediateSize int     // the width between the feed-forward matrices
	VocabSize        int     // rows of the token embeddings
	MaxPositions     int     // rows of the position embeddings
	TypeVocabSize    int     // rows of the segment embeddings; a single text is all of the first
	LayerNormEps     float64 //
	Activation       string  // gelu, gelu_new, gelu_pytorch_tanh (both the tanh approximation) or relu
}

// ReadConfig reads config.json of a network whose model_type is one of modelTypes. A key that ConfigSchema refuses is
// an error.
func ReadConfig(path string, modelTypes ...string) (Config, error) {
	var j struct {
		ModelType  string   `json:"model_type"`
		Positions  *string  `json:"position_embedding_type"`
		Decoder    bool     `json:"is_decoder"`
		Hidden     *int     `json:"hidden_size"`
		Layers     *int     `json:"num_hidden_layers"`
		Heads      *int     `json:"num_attention_heads"`
		Inner      *int     `json:"intermediate_size"`
		Vocab      *int     `json:"vocab_size"`
		MaxLength  *int     `json:"max_position_embeddings"`
		Types      *int     `json:"type_vocab_size"`
		Eps        *float64 `json:"layer_norm_eps"`
		Activation *string  `json:"hidden_act"`
	}
	if err := jsonfile.Read(path, &j); err != nil {
		return Config{}, err
	}
	s, err := modelfolder.Read(path)
	if err != nil {
		return Config{}, err
	}
	if _, err := ConfigSchema.Check(s); err != nil {
		return Config{}, err
	}
	if !slices.Contains(modelTypes, j.ModelType) {
		verb := "is"
		if len(modelTypes) > 1 {
			verb = "are"
		}
		return Config{}, fmt.Errorf("%s: model_type is %q; only %s %s supported",
			path, j.ModelType, strings.Join(modelTypes, ", "), verb)
	}
	if p := valueOr(j.Positions, "absolute"); p != "absolute" {
		return Config{}, fmt.Errorf("%s: position_embedding_type is %q; only absolute is supported", path, p)
	}
	if j.Decoder {
		return Config{}, fmt.Errorf("%s: is_decoder is true; only encoders are supported", path)
	}
	c := Config{
		LayerNormEps: valueOr(j.Eps, 1e-12), Activation: valueOr(j.Activation, "gelu"), TypeVocabSize: valueOr(j.Types, 2),
	}
	for _, field := range []struct {
		name string
		from *int
		to   *int
	}{
		{"hidden_size", j.Hidden, &c.HiddenSize},
		{"num_hidden_layers", j.Layers, &c.Layers},
		{"num_attention_heads", j.Heads, &c.Heads},
		{"intermediate_size", j.Inner, &c.IntermediateSize},
		{"vocab_size", j.Vocab, &c.VocabSize},
		{"max_position_embeddings", j.MaxLength, &c.MaxPositions},
		{"type_vocab_size", &c.TypeVocabSize, &c.TypeVocabSize},
	} {
		if field.from == nil {
			return Config{}, fmt.Errorf("%s: no %s", path, field.name)
		}
		if *field.from < 1 || *field.from > 1<<30 {
			return Config{}, fmt.Errorf("%s: %s is %d", path, field.name, *field.from)
		}
		*field.to = *field.from
	}
	if c.HiddenSize%c.Heads != 0 {
		return Config{}, fmt.Errorf("%s: hidden_size %d is not a multiple of num_attention_heads %d",
			path, c.HiddenSize, c.Heads)
	}
	if !(c.LayerNormEps > 0 && c.LayerNormEps < 1) {
		return Config{}, fmt.Errorf("%s: layer_norm_eps is %v", path, c.LayerNormEps)
	}
	if known := []string{"gelu", "gelu_new", "gelu_pytorch_tanh", "relu"}; !slices.Contains(known, c.Activation) {
		return Config{}, fmt.Errorf("%s: hidden_act is %q; %s are supported", path, c.Activation, strings.Join(known, ", "))
	}
	return c, nil
}

func valueOr[T any](p *T, otherwise T) T {
	if p == nil {
		return otherwise
	}
	return *p
}
